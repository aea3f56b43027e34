import { describe, expect, test } from 'vitest';
import { MillraceError } from '../../src/errors.ts';
import { BatchParser } from '../../src/pipeline/batch-parser.ts';
import type { ParseResult, ParseTask } from '../../src/pipeline/parse-protocol.ts';
import { parseRange } from '../../src/replay/parse-range.ts';
import type { Parse, ReadBatches } from '../../src/replay/ports.ts';
import { type CraftedBatch, craftBatch } from '../support/record-batches.ts';

const PARSER = new BatchParser({
  maxRecordBytes: 1000,
  maxBatchBytes: 1_000_000,
  defaultRetentionDays: 30,
  letterKey: new Uint8Array(32),
});
const parse: Parse = (task) => Promise.resolve(PARSER.parse(task));

function batch(baseOffset: number, recordCount: number, rest: Partial<CraftedBatch> = {}): Buffer {
  const records = Array.from({ length: recordCount }, (_, i) => ({
    value: `{"message":"m${baseOffset + i}"}`,
  }));
  return craftBatch({ records, baseOffset, baseTimestampMs: 1_700_000_000_000, ...rest });
}

function readOf(
  batches: readonly Buffer[],
  [fromOffset, toOffset]: readonly [number, number],
  spanning?: ReadBatches['spanning'],
): ReadBatches {
  const joined = Buffer.concat(batches);
  const memory = new SharedArrayBuffer(joined.length);
  new Uint8Array(memory).set(joined);
  return { partition: 3, fromOffset, toOffset, memory, spanning };
}

async function collect(read: ReadBatches, heldOffsets: readonly number[] = [], parser: Parse = parse) {
  const results: ParseResult[] = [];
  const work = { source: 1, receivedUs: 0, heldOffsets, parse: parser };
  for await (const result of parseRange(read, work)) results.push(result);
  const sum = (countOf: (result: ParseResult) => number): number =>
    results.reduce((total, result) => total + countOf(result), 0);
  return {
    ends: results.map(({ reachedOffset }) => reachedOffset),
    rows: sum(({ logs }) => logs.reduce((count, block) => count + block.rowCount, 0)),
    letters: results.flatMap(({ deadLetterNotes }) =>
      deadLetterNotes.map(({ offset, reason }) => [offset, reason]),
    ),
  };
}

describe('parseRange', () => {
  test('gives the records of the range and no others', async () => {
    const batches = [batch(0, 10), batch(10, 10)];
    const spanning = { byteLength: batches[0]!.length, lastOffset: 9 };
    expect(await collect(readOf(batches, [4, 17], spanning))).toEqual({
      ends: [10, 17],
      rows: 13,
      letters: [],
    });
    expect(await collect(readOf(batches, [4, 8], spanning))).toEqual({ ends: [8], rows: 4, letters: [] });
  });

  test('leaves held offsets out', async () => {
    const read = readOf([batch(0, 10)], [0, 10]);
    expect(await collect(read, [0, 3, 4, 9])).toEqual({ ends: [3, 9], rows: 6, letters: [] });
  });

  test('a batch that cannot be read is a letter of the stretch in which it begins only', async () => {
    const batches = [batch(0, 10, { crcError: 1 }), batch(10, 5)];
    const spanning = { byteLength: batches[0]!.length, lastOffset: 9 };
    expect(await collect(readOf(batches, [4, 15], spanning))).toEqual({ ends: [15], rows: 5, letters: [] });
    expect(await collect(readOf(batches, [0, 6]))).toMatchObject({
      rows: 0,
      letters: [[0, 'corrupt_batch']],
    });
  });

  test('finds the record that kills workers, and makes it a letter when it kills again', async () => {
    const deaths: number[] = [];
    const mortal = (task: ParseTask): Promise<ParseResult> => {
      if (task.refusal === undefined && task.firstOffset <= 6 && task.endOffset > 6) {
        deaths.push(task.endOffset - task.firstOffset);
        return Promise.reject(new MillraceError('thread_died', 'A parse worker failed.'));
      }
      return parse(task);
    };
    expect(await collect(readOf([batch(0, 10)], [0, 10]), [], mortal)).toMatchObject({
      rows: 9,
      letters: [[6, 'poison_record']],
    });
    expect(deaths.slice(-2)).toEqual([1, 1]);
  });

  test('a range without batches gives nothing', async () => {
    expect(await collect(readOf([], [5, 9]))).toEqual({ ends: [], rows: 0, letters: [] });
  });
});
