import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { patchBaseOffset, RecordBatchBuilder } from '../../src/encode/record-batch-builder.ts';
import { craftBatch } from '../support/record-batches.ts';
import { walkBatches } from '../support/walk-batches.ts';

const TIME = 1_790_000_000_000;

function append(builder: RecordBatchBuilder, text: string): void {
  const bytes = Buffer.from(`..${text}..`);
  builder.append(bytes, 2, bytes.length - 2);
}

describe('RecordBatchBuilder', () => {
  test('gives byte for byte what the independent encoder gives', () => {
    const builder = new RecordBatchBuilder();
    const values = [
      '',
      'a',
      'x'.repeat(63),
      'y'.repeat(64),
      'z'.repeat(9000),
      ...Array.from({ length: 300 }, String),
    ];
    builder.reset(TIME);
    for (const value of values) append(builder, value);
    expect(builder.recordCount).toBe(values.length);
    const crafted = craftBatch({
      records: values.map((value) => ({ value })),
      baseOffset: 77,
      baseTimestampMs: TIME,
    });
    // The leader's epoch, which the checksum does not cover, is -1 for "none" here.
    crafted.writeInt32BE(-1, 12);
    expect(Buffer.compare(builder.finish(77), crafted)).toBe(0);
  });

  test('what was appended is read back, batch behind batch', () => {
    const bodies = fc.array(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 50 }), { maxLength: 5 });
    const builder = new RecordBatchBuilder();
    fc.assert(
      fc.property(bodies, (batches) => {
        builder.reset(TIME);
        let baseOffset = 0;
        for (const [index, records] of batches.entries()) {
          builder.begin(TIME + index);
          for (const record of records) builder.append(record, 0, record.length);
          builder.finish(baseOffset);
          baseOffset += records.length;
        }
        const walked = walkBatches(new Uint8Array(builder.takeFinished()));
        expect(walked.faults).toEqual([]);
        const expected = batches.flatMap((records, index) =>
          records.map((record) => [record, TIME + index] as const),
        );
        expect(walked.records).toEqual(
          expected.map(([record, timestampMs], offset) => ({
            offset,
            timestampMs,
            key: null,
            value: Buffer.from(record).toString('latin1'),
            headersCount: 0,
          })),
        );
      }),
    );
  });

  test('a batch that was begun and not finished is dropped', () => {
    const builder = new RecordBatchBuilder();
    builder.reset(TIME);
    append(builder, 'kept');
    builder.finish(0);
    builder.begin(TIME);
    append(builder, 'dropped');
    builder.begin(TIME);
    append(builder, 'kept too');
    builder.finish(1);
    builder.begin(TIME);
    append(builder, 'dropped too');
    const { records } = walkBatches(new Uint8Array(builder.takeFinished()));
    expect(records.map((record) => record.value)).toEqual(['kept', 'kept too']);
  });

  test('an empty batch gives no bytes', () => {
    const builder = new RecordBatchBuilder();
    builder.reset(TIME);
    expect(builder.finish(5)).toHaveLength(0);
    expect(builder.takeFinished().byteLength).toBe(0);
  });

  test('reset forgets what was there before, however large', () => {
    const builder = new RecordBatchBuilder();
    builder.reset(TIME);
    const large = new Uint8Array(20_000_000);
    builder.append(large, 0, large.length);
    expect(walkBatches(builder.finish(0)).records[0]?.value).toHaveLength(20_000_000);
    builder.reset(TIME);
    append(builder, 'small');
    expect(walkBatches(builder.finish(0)).records.map((record) => record.value)).toEqual(['small']);
  });
});

test.each([0, 1, 2 ** 31, 2 ** 32 + 5, 2 ** 40 - 1])(
  'a base offset patched to %d keeps the checksum right',
  (offset) => {
    const builder = new RecordBatchBuilder();
    builder.reset(TIME);
    append(builder, 'a');
    append(builder, 'b');
    const bytes = builder.finish(9);
    const inside = Buffer.concat([Buffer.alloc(3), bytes]);
    patchBaseOffset(inside, 3, offset);
    const walked = walkBatches(inside, { start: 3 });
    expect(walked.faults).toEqual([]);
    expect(walked.records.map((record) => record.offset)).toEqual([offset, offset + 1]);
  },
);
