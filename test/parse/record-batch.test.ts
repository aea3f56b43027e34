import { describe, expect, test } from 'vitest';
import { RecordBatchReader } from '../../src/parse/record-batch.ts';
import { compress, craftBatch, encodeRecords, sealBatch, shared, zigzag } from '../support/record-batches.ts';
import { addsUp, walkBatches } from '../support/walk-batches.ts';

const TIME = 1_790_000_000_000;
const CODECS = ['none', 'gzip', 'snappy', 'xerial', 'lz4', 'zstd'] as const;

function numbered(count: number, prefix = 'v') {
  return Array.from({ length: count }, (_, index) => ({ value: `${prefix}${index}` }));
}

/** A sound batch of `count` records from `baseOffset` on, to prove that reading goes on behind a broken one. */
function soundBatch(baseOffset: number, count = 2): Buffer {
  return craftBatch({ records: numbered(count, `s${baseOffset}-`), baseOffset, baseTimestampMs: TIME });
}

describe('a sound stretch', () => {
  test.each(CODECS)('%s: records come out with offset, time, key, value and headers', (codec) => {
    const batch = craftBatch({
      codec,
      baseOffset: 2 ** 33 + 7,
      baseTimestampMs: TIME,
      records: [
        { key: 'k', value: 'one', timestampDelta: 5 },
        {
          value: null,
          headers: [
            ['a', 'b'],
            ['c', null],
          ],
          timestampDelta: -3,
        },
        { key: '', value: '', offsetDelta: 9, timestampDelta: 2 ** 33 },
      ],
    });
    const walked = walkBatches(shared(batch, 11), { start: 11 });
    expect(walked.faults).toEqual([]);
    expect(walked.records).toEqual([
      { offset: 2 ** 33 + 7, timestampMs: TIME + 5, key: 'k', value: 'one', headersCount: 0 },
      { offset: 2 ** 33 + 8, timestampMs: TIME - 3, key: null, value: null, headersCount: 2 },
      { offset: 2 ** 33 + 16, timestampMs: TIME + 2 ** 33, key: '', value: '', headersCount: 0 },
    ]);
    expect(walked.receivedCount).toBe(3);
  });

  test('batches of different codecs follow each other', () => {
    const batches = CODECS.map((codec, index) =>
      craftBatch({ codec, baseOffset: index * 100, records: numbered(60, codec) }),
    );
    const walked = walkBatches(shared(Buffer.concat(batches)));
    expect(walked.records).toHaveLength(360);
    expect(walked.records.at(-1)).toMatchObject({ offset: 559, value: 'zstd59' });
  });

  test('records below firstOffset and whole batches below it are passed over, uncounted', () => {
    const walked = walkBatches(Buffer.concat([soundBatch(0, 5), soundBatch(5, 5)]), { firstOffset: 8 });
    expect(walked.records.map((record) => record.offset)).toEqual([8, 9]);
    expect(walked.receivedCount).toBe(2);
  });

  test('a compacted batch keeps the gaps of its offsets', () => {
    const records = [2, 5, 6].map((offsetDelta) => ({ value: 'x', offsetDelta }));
    const walked = walkBatches(craftBatch({ records, lastOffsetDelta: 9 }), { firstOffset: 5 });
    expect(walked.records.map((record) => record.offset)).toEqual([5, 6]);
    expect(walked.faults).toEqual([]);
  });

  test('a batch that compaction emptied gives nothing', () => {
    const walked = walkBatches(craftBatch({ records: [], lastOffsetDelta: 4 }));
    expect(walked).toMatchObject({ records: [], faults: [], receivedCount: 0 });
  });

  test('under LogAppendTime every record has the batch time', () => {
    const records = [
      { value: 'a', timestampDelta: 1 },
      { value: 'b', timestampDelta: 2 },
    ];
    const batch = craftBatch({ records, attributes: 8, baseTimestampMs: TIME, maxTimestampMs: TIME + 50 });
    expect(walkBatches(batch).records.map((record) => record.timestampMs)).toEqual([TIME + 50, TIME + 50]);
  });

  test.each([
    ['absent', -1, -1],
    ['before 1970', -5000, -1],
    ['absurdly late', 2 ** 60, -1],
    ['zero', 0, 0],
  ])('a time that is %s', (_name, baseTimestampMs, expected) => {
    const walked = walkBatches(craftBatch({ records: [{ value: 'a' }], baseTimestampMs }));
    expect(walked.records[0]?.timestampMs).toBe(expected);
  });

  test('control batches are counted and give no record', () => {
    const marker = craftBatch({
      records: [{ key: '\0\0\0\u0001', value: '' }],
      attributes: 0x30,
      baseOffset: 2,
    });
    const walked = walkBatches(Buffer.concat([soundBatch(0), marker, soundBatch(3)]));
    expect(walked.records.map((record) => record.offset)).toEqual([0, 1, 3, 4]);
    expect(walked).toMatchObject({ controlCount: 1, receivedCount: 5 });
  });

  test('200,000 records in one batch', () => {
    const records = numbered(200_000);
    for (const codec of ['none', 'lz4'] as const) {
      const walked = walkBatches(shared(craftBatch({ records, codec })));
      expect(walked.receivedCount).toBe(200_000);
      expect(walked.records.at(-1)).toMatchObject({ offset: 199_999, value: 'v199999' });
    }
  });

  test.each(CODECS)('%s: a record of 10 MB', (codec) => {
    const value = Buffer.alloc(10_000_000, 'abcdefghij klmnop');
    value.write('end', value.length - 3);
    const reader = new RecordBatchReader();
    const memory = shared(craftBatch({ codec, records: [{ value }, { value: 'next' }] }));
    reader.reset({ memory, start: 0, length: memory.length, firstOffset: 0 });
    expect(reader.nextBatch()).toBe(true);
    expect(reader.next()).toBe(true);
    expect(Buffer.compare(reader.bytes.subarray(reader.valueStart, reader.valueEnd), value)).toBe(0);
    expect(reader.next()).toBe(true);
    expect(reader.next()).toBe(false);
    expect(reader.fault).toBeNull();
  });

  test('one reader reads stretch after stretch', () => {
    const reader = new RecordBatchReader();
    for (const codec of CODECS) {
      const memory = shared(craftBatch({ codec, records: numbered(20, codec) }));
      expect(walkBatches(memory, { reader })).toMatchObject({ receivedCount: 20, faults: [] });
    }
  });
});

describe('a broken batch becomes one fault and reading goes on', () => {
  const three = numbered(3);
  const cases = [
    ['wrong checksum', craftBatch({ records: three, baseOffset: 2, crcError: 1 }), 'corrupt_batch', 3],
    ['codec 5', craftBatch({ records: three, baseOffset: 2, attributes: 5 }), 'unknown_codec', 3],
    ['codec 7', craftBatch({ records: three, baseOffset: 2, attributes: 7 }), 'unknown_codec', 3],
    [
      'gzip that is none',
      craftBatch({ records: three, baseOffset: 2, attributes: 1 }),
      'decompression_failed',
      3,
    ],
    [
      'zstd that is none',
      craftBatch({ records: three, baseOffset: 2, attributes: 4 }),
      'decompression_failed',
      3,
    ],
    ['negative count', craftBatch({ records: three, baseOffset: 2, recordsCount: -1 }), 'corrupt_batch', 1],
    [
      'count above offsets',
      craftBatch({ records: three, baseOffset: 2, recordsCount: 9 }),
      'corrupt_batch',
      1,
    ],
    [
      'count above bytes',
      craftBatch({ records: three, baseOffset: 2, recordsCount: 9999, lastOffsetDelta: 9999 }),
      'corrupt_batch',
      1,
    ],
    [
      'negative last offset',
      craftBatch({ records: three, baseOffset: 2, lastOffsetDelta: -1 }),
      'corrupt_batch',
      1,
    ],
    [
      'bad first record',
      craftBatch({ records: three, baseOffset: 2, rawRecords: Buffer.alloc(30, 0xff) }),
      'corrupt_batch',
      3,
    ],
  ] as const;

  test.each(cases)('%s', (...[, broken, reason, recordCount]) => {
    const walked = walkBatches(shared(Buffer.concat([soundBatch(0), broken, soundBatch(10_010)])));
    expect(walked.records.map((record) => record.offset)).toEqual([0, 1, 10_010, 10_011]);
    expect(walked.faults).toHaveLength(1);
    expect(walked.faults[0]).toMatchObject({ reason, recordCount, offset: 2, baseOffset: 2 });
    expect(addsUp(walked)).toBe(true);
  });

  test('the fault of a whole batch carries its bytes', () => {
    const broken = craftBatch({ records: three, crcError: 7, baseTimestampMs: TIME });
    const [fault] = walkBatches(shared(broken, 5), { start: 5 }).faults;
    expect(Buffer.compare(fault!.bytes.subarray(fault!.start, fault!.end), broken)).toBe(0);
    expect(fault).toMatchObject({ lastOffset: 2, timestampMs: TIME });
  });

  const firstTwo = [{ value: 'a' }, { value: 'b' }];
  const sound = { value: 'c', offsetDelta: 2 };
  const endings = [
    ['record length beyond the batch', Buffer.concat([zigzag(5000), Buffer.alloc(20)])],
    ['record that reaches into the next batch', Buffer.from([...zigzag(80), 0, 0, 4, 1, ...zigzag(73)])],
    ['negative record length', Buffer.concat([zigzag(-4), Buffer.alloc(20)])],
    ['varint without an end', Buffer.alloc(20, 0x80)],
    ['offset delta repeated', encodeRecords([{ value: 'c', offsetDelta: 1 }])],
    ['offset delta beyond the last', encodeRecords([{ value: 'c', offsetDelta: 3 }])],
    ['negative offset delta', encodeRecords([{ value: 'c', offsetDelta: -1 }])],
    ['key longer than the record', record([0, 0, 4, ...zigzag(50), 1, 0])],
    ['key length below -1', record([0, 0, 4, ...zigzag(-2), 1, 0])],
    ['value longer than the record', record([0, 0, 4, 1, ...zigzag(50), 0])],
    ['value length below -1', record([0, 0, 4, 1, ...zigzag(-7), 0])],
    ['negative header count', record([0, 0, 4, 1, 1, ...zigzag(-1)])],
    ['more headers than bytes', record([0, 0, 4, 1, 1, ...zigzag(1000), 0, 0])],
    ['bytes behind a record without headers', record([0, 0, 4, 1, 1, 0, 9, 9])],
  ] as const;

  test.each(endings)('%s in the middle: what came before is kept', (_name, ending) => {
    for (const codec of ['none', 'lz4'] as const) {
      const raw = Buffer.concat([encodeRecords(firstTwo), ending]);
      const broken = craftBatch({ codec, records: [...firstTwo, sound], rawRecords: compress(codec, raw) });
      const walked = walkBatches(shared(Buffer.concat([broken, soundBatch(3)])));
      expect(walked.records.map((record) => record.offset)).toEqual([0, 1, 3, 4]);
      expect(walked.faults).toHaveLength(1);
      expect(walked.faults[0]).toMatchObject({
        reason: 'corrupt_batch',
        offset: 2,
        lastOffset: 2,
        recordCount: 1,
      });
      expect(addsUp(walked)).toBe(true);
    }
  });

  test('bytes behind the last record are a fault of their own', () => {
    const rawRecords = Buffer.concat([encodeRecords(firstTwo), Buffer.from('left over')]);
    const walked = walkBatches(craftBatch({ records: firstTwo, rawRecords }));
    expect(walked.records).toHaveLength(2);
    expect(walked.faults[0]).toMatchObject({ reason: 'corrupt_batch', offset: 1, recordCount: 1 });
    expect(addsUp(walked)).toBe(true);
  });

  test('a broken batch that spans firstOffset counts for the rest of its offsets only', () => {
    const broken = craftBatch({ records: numbered(10), crcError: 1 });
    const walked = walkBatches(broken, { firstOffset: 7 });
    expect(walked.faults[0]).toMatchObject({ offset: 7, baseOffset: 0, lastOffset: 9, recordCount: 3 });
  });
});

describe('the end of a stretch', () => {
  const whole = soundBatch(0, 3);

  test('a partial tail is passed over where it is expected', () => {
    for (let cut = 1; cut < whole.length; cut++) {
      const bytes = Buffer.concat([soundBatch(0), whole.subarray(0, cut)]);
      const walked = walkBatches(bytes, { isPartialTailExpected: true });
      expect(walked).toMatchObject({ receivedCount: 2, faults: [], truncatedBytes: cut });
    }
  });

  test('elsewhere it is a fault, so that nothing is lost in silence', () => {
    for (let cut = 1; cut < whole.length; cut++) {
      const walked = walkBatches(Buffer.concat([soundBatch(0), whole.subarray(0, cut)]));
      expect(walked.records).toHaveLength(2);
      expect(walked.faults).toHaveLength(1);
      expect(walked.faults[0]).toMatchObject({ reason: 'corrupt_batch', end: soundBatch(0).length + cut });
      expect(addsUp(walked)).toBe(true);
    }
  });

  test.each([-1, -(2 ** 31), 0, 13])('a batch length of %d ends the stretch with a fault', (length) => {
    const broken = Buffer.from(whole);
    broken.writeInt32BE(length, 8);
    const walked = walkBatches(Buffer.concat([soundBatch(0), broken, soundBatch(9)]));
    expect(walked.records).toHaveLength(2);
    expect(walked.faults.map((fault) => fault.reason)).toEqual(['corrupt_batch']);
    expect(addsUp(walked)).toBe(true);
  });

  test('a length shorter than the header spoils one batch only', () => {
    const short = Buffer.alloc(40);
    short.writeBigInt64BE(5n, 0);
    short.writeInt32BE(28, 8);
    short.writeInt8(2, 16);
    const walked = walkBatches(Buffer.concat([short, soundBatch(6)]));
    expect(walked.faults[0]).toMatchObject({ reason: 'corrupt_batch', offset: 5, recordCount: 1 });
    expect(walked.records.map((record) => record.offset)).toEqual([6, 7]);
  });
});

describe('other record formats', () => {
  test.each([0, 1, 3, -1])('format %d is refused entry by entry', (magic) => {
    const entries = [4, 5].map((offset) => {
      const bytes = Buffer.alloc(40);
      bytes.writeBigInt64BE(BigInt(offset), 0);
      bytes.writeInt32BE(28, 8);
      bytes.writeInt8(magic, 16);
      return bytes;
    });
    const walked = walkBatches(Buffer.concat([soundBatch(2), ...entries, soundBatch(6)]));
    expect(walked.faults.map(({ reason, offset, recordCount }) => [reason, offset, recordCount])).toEqual([
      ['unsupported_batch', 4, 1],
      ['unsupported_batch', 5, 1],
    ]);
    expect(walked.records).toHaveLength(4);
    expect(addsUp(walked)).toBe(true);
  });
});

test('the checksum covers the attributes', () => {
  const batch = craftBatch({ records: numbered(2) });
  batch.writeUInt16BE(8, 21);
  expect(walkBatches(batch).faults).toHaveLength(1);
  expect(walkBatches(sealBatch(batch)).faults).toHaveLength(0);
});

function record(body: readonly number[]): Buffer {
  return Buffer.concat([zigzag(body.length), Buffer.from(body)]);
}
