import fc from 'fast-check';
import { expect, test } from 'vitest';
import { RecordBatchReader } from '../../src/parse/record-batch.ts';
import { type CraftedCodec, craftBatch, sealBatch, shared } from '../support/record-batches.ts';
import { addsUp, walkBatches } from '../support/walk-batches.ts';

const codecs = fc.constantFrom<CraftedCodec>('none', 'gzip', 'snappy', 'xerial', 'lz4', 'zstd');
const bytes = fc.uint8Array({ maxLength: 300 });
const crafted = fc.record({
  key: fc.option(bytes),
  value: fc.option(bytes),
  headers: fc.array(fc.tuple(fc.string({ maxLength: 5 }), fc.option(fc.string({ maxLength: 5 }))), {
    maxLength: 3,
  }),
  timestampDelta: fc.integer({ min: -(2 ** 40), max: 2 ** 40 }),
});

/** Hostile input must not make the scratch large either. */
const CAP_BYTES = 4 * 1024 * 1024;
const reader = new RecordBatchReader({ maxDecompressedBytes: CAP_BYTES });

test('what was encoded is read back, in any codec', () => {
  const anyBatch = fc.tuple(codecs, fc.array(crafted, { minLength: 1, maxLength: 40 }), fc.nat(2 ** 40));
  fc.assert(
    fc.property(anyBatch, ([codec, records, baseOffset]) => {
      const baseTimestampMs = 2 ** 41;
      const memory = shared(craftBatch({ codec, records, baseOffset, baseTimestampMs }), 3);
      const walked = walkBatches(memory, { reader, start: 3 });
      expect(walked.faults).toEqual([]);
      expect(walked.records).toEqual(
        records.map((record, index) => ({
          offset: baseOffset + index,
          timestampMs: baseTimestampMs + record.timestampDelta,
          key: latin1(record.key),
          value: latin1(record.value),
          headersCount: record.headers.length,
        })),
      );
    }),
    { numRuns: 300 },
  );
});

const flips = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 12 });

test('flipped bytes never throw, never hang, and the counts add up', () => {
  const input = fc.tuple(codecs, fc.array(crafted, { minLength: 1, maxLength: 20 }), flips, fc.nat(30));
  fc.assert(
    fc.property(input, ([codec, records, changes, firstOffset]) => {
      const memory = Buffer.concat([
        craftBatch({ codec, records }),
        craftBatch({ records, baseOffset: 100 }),
      ]);
      for (const [at, value] of changes) memory[at % memory.length] = value;
      expect(addsUp(walkBatches(shared(memory), { reader, firstOffset }))).toBe(true);
    }),
    { numRuns: 2000 },
  );
});

test('flipped bytes under a right checksum reach codecs and records, and the next batch is still read', () => {
  const input = fc.tuple(codecs, fc.array(crafted, { minLength: 1, maxLength: 20 }), flips);
  fc.assert(
    fc.property(input, ([codec, records, changes]) => {
      const broken = craftBatch({ codec, records });
      // From the last offset delta on: attributes stay, so that the codec under test is the one that runs.
      for (const [at, value] of changes) broken[23 + (at % (broken.length - 23))] = value;
      const memory = Buffer.concat([
        sealBatch(broken),
        craftBatch({ records: [{ value: 'last' }], baseOffset: 2 ** 40 }),
      ]);
      const walked = walkBatches(shared(memory), { reader });
      expect(walked.records.at(-1)).toMatchObject({ offset: 2 ** 40, value: 'last' });
      expect(addsUp(walked)).toBe(true);
    }),
    { numRuns: 4000 },
  );
});

test('random bytes in every codec never throw and never hang', () => {
  const input = fc.tuple(codecs, fc.uint8Array({ maxLength: 400 }), fc.integer({ min: 1, max: 50 }));
  fc.assert(
    fc.property(input, ([codec, rawRecords, count]) => {
      const records = Array.from({ length: count }, () => ({ value: '' }));
      const walked = walkBatches(shared(craftBatch({ codec, records, rawRecords })), { reader });
      expect(walked.faults.length).toBeLessThanOrEqual(1);
      expect(addsUp(walked)).toBe(true);
    }),
    { numRuns: 4000 },
  );
});

test('random bytes as a whole stretch never throw and never hang', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 500 }), (memory) => {
      expect(addsUp(walkBatches(memory, { reader }))).toBe(true);
    }),
    { numRuns: 2000 },
  );
});

function latin1(value: Uint8Array | null): string | null {
  return value === null ? null : Buffer.from(value).toString('latin1');
}
