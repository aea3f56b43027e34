/**
 * Record batches written by Kafka's own Java client (kafka-clients 4.3.1, MemoryRecordsBuilder), so that the codecs
 * meet the real encoders: xerial snappy, LZ4 with 64 KiB blocks, zstd without content size, and formats 1 and control.
 */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { shared } from '../../support/record-batches.ts';
import { walkBatches } from '../../support/walk-batches.ts';

interface JavaBatch {
  readonly codec: string;
  readonly recordCount: number;
  readonly base64: string;
}

const BATCHES = JSON.parse(
  readFileSync(new URL('java-batches.json', import.meta.url), 'utf8'),
) as readonly JavaBatch[];
const COMPRESSED = BATCHES.filter((batch) => ['none', 'gzip', 'snappy', 'lz4', 'zstd'].includes(batch.codec));

test.each(COMPRESSED)('$codec, $recordCount records', ({ base64, recordCount }) => {
  const walked = walkBatches(shared(Buffer.from(base64, 'base64')));
  expect(walked.faults).toEqual([]);
  expect(walked.records).toEqual(
    Array.from({ length: recordCount }, (_, index) => ({
      offset: 1000 + index,
      timestampMs: 1_700_000_000_000 + index * 10,
      key: index % 2 === 0 ? null : `k${index}`,
      value: index === 2 ? null : javaValue(index),
      headersCount: index === 1 ? 1 : 0,
    })),
  );
});

test.each([
  ['v1-none', 3],
  ['v1-gzip', 1],
])('%s: old messages are refused, a compressed set as one', (codec, faultCount) => {
  const walked = walkBatches(bytesOf(codec));
  expect(walked.faults.map((fault) => fault.reason)).toEqual(
    Array.from({ length: faultCount }, () => 'unsupported_batch'),
  );
  expect(walked).toMatchObject({ records: [], receivedCount: faultCount });
});

test('a commit marker is a control record', () => {
  expect(walkBatches(bytesOf('control'))).toMatchObject({ records: [], faults: [], controlCount: 1 });
});

test('five codecs are there, so that none is passed over in silence', () => {
  expect(new Set(COMPRESSED.map((batch) => batch.codec)).size).toBe(5);
});

function bytesOf(codec: string): Uint8Array {
  return Buffer.from(BATCHES.find((batch) => batch.codec === codec)?.base64 ?? '', 'base64');
}

function javaValue(index: number): string {
  return `{"n":${index},"message":"${`session ${index % 7} opened; `.repeat(16)}"}`;
}
