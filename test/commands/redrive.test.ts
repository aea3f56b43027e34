/** Dead letters through the real parser, pool and ClickHouse, back to where they belong. */
import { readFile } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { type LetterRow, letterPage } from '../../src/api/letters/letter-sql.ts';
import { Redrive, type RedriveSummary } from '../../src/commands/redrive.ts';
import { LetterSeal } from '../../src/encode/letter-seal.ts';
import { armFailpoints, shareFailpoints } from '../../src/failpoints.ts';
import { BatchParser } from '../../src/pipeline/batch-parser.ts';
import { createParsePool, type ParsePool } from '../../src/pipeline/parse-pool.ts';
import type { ParseTask } from '../../src/pipeline/parse-protocol.ts';
import { createBlockStore } from '../../src/store/block-store.ts';
import type { Store } from '../../src/store/clickhouse-client.ts';
import { withRedriveTurn } from '../../src/store/redrive-store.ts';
import { startClickHouse, type TestClickHouse } from '../support/clickhouse.ts';
import { readLetters, TEST_LETTER_KEY } from '../support/letters.ts';
import { craftBatch, shared } from '../support/record-batches.ts';

const MIB = 1024 * 1024;
const TIME_MS = Math.floor(Date.now() / 1000) * 1000 - 3_600_000;
const SOURCE = 3;
const PARTITION = 4;
const WORKER = { defaultRetentionDays: 30, letterKey: TEST_LETTER_KEY };

let clickhouse: TestClickHouse;
let store: Store;
let pool: ParsePool;
beforeAll(async () => {
  clickhouse = await startClickHouse();
  store = clickhouse.store;
  pool = createParsePool(1, { ...WORKER, maxRecordBytes: MIB, maxBatchBytes: 64 * MIB });
});
afterAll(async () => {
  await pool.stop();
  await clickhouse.stop();
});
beforeEach(async () => {
  const tables = await store.query<{ name: string }>(
    `SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree' AND name != 'migrations'`,
  );
  for (const { name } of tables) await store.command(`TRUNCATE TABLE ${name}`);
});
afterEach(() => shareFailpoints(undefined));

interface Limits {
  readonly maxRecordBytes?: number;
  readonly maxBatchBytes?: number;
  readonly refusal?: NonNullable<ParseTask['refusal']>;
  /** False: the ledger has not come to the end of the batch. */
  readonly isSettled?: boolean;
}

/** Stores a batch as the pipeline would with these limits, with its row of the ledger. */
async function storeBatch(batch: Uint8Array, range: { from: number; to: number }, limits: Limits = {}) {
  const { maxRecordBytes = MIB, maxBatchBytes = 64 * MIB, refusal, isSettled } = limits;
  const memory = shared(batch).buffer as SharedArrayBuffer;
  const lane = { source: SOURCE, partition: PARTITION };
  const result = new BatchParser({ ...WORKER, maxRecordBytes, maxBatchBytes }).parse({
    kind: 'parse',
    memory,
    start: 0,
    length: batch.length,
    ...lane,
    firstOffset: range.from,
    endOffset: range.to,
    receivedUs: TIME_MS * 1000 + 7,
    ...(refusal === undefined ? {} : { refusal }),
  });
  const blocks = createBlockStore(store, { owner: 'test', isGuarded: false });
  if (result.logs.length > 0) await blocks.insertBlocks('logs', result.logs, []);
  if (result.deadLetters.length > 0) await blocks.insertBlocks('dead_letters', result.deadLetters, []);
  if (isSettled === false) return;
  await blocks.insertLedger([
    {
      ...lane,
      epoch: 1,
      fromOffset: range.from,
      toOffset: range.to,
      receivedCount: result.receivedCount,
      storedCount: result.logs.reduce((sum, { rowCount }) => sum + rowCount, 0),
      alreadyPresentCount: 0,
      lostUpstreamCount: 0,
      filtered: result.filtered,
      deadLettered: result.deadLettered,
    },
  ]);
}

async function redrive(): Promise<RedriveSummary> {
  return await withRedriveTurn(store, async (turn) => {
    const work = new Redrive({ store, redrive: turn, pool, seal: new LetterSeal([TEST_LETTER_KEY]) });
    await work.run({ toUs: Date.now() * 1000 + 1_000_000 }, 1000);
    return work.summary;
  });
}

async function listed(): Promise<LetterRow[]> {
  const { sql, params } = letterPage({}, 1000);
  return await store.query<LetterRow>(sql, params);
}

async function logs(): Promise<[number, string, number][]> {
  const { rows } = await store.selectArrays<[number, string, number]>(
    'SELECT offset, message, toUnixTimestamp64Micro(ingested_at) FROM logs ORDER BY offset',
  );
  return rows;
}

/** Law 1 as docs/architecture.md states it, against the tables. */
async function expectLaw1(): Promise<void> {
  const page = await readFile(new URL('../../docs/architecture.md', import.meta.url), 'utf8');
  const [, sql = ''] = /```sql\n([^`]+)```/.exec(page) ?? [];
  const [sum, ...more] = await store.query<Record<string, number>>(sql);
  expect(more).toEqual([]);
  const letters = await listed();
  expect(sum).toMatchObject({
    stored: (await logs()).length,
    dead_lettered: letters.reduce((records, row) => records + row.record_count, 0),
  });
  expect(sum!['received']).toBe(sum!['stored']! + sum!['filtered']! + sum!['dead_lettered']!);
}

function batchOf(values: readonly string[], baseOffset = 0): Buffer {
  return craftBatch({ records: values.map((value) => ({ value })), baseOffset, baseTimestampMs: TIME_MS });
}

const LONG = `{"service":"s","message":"${'m'.repeat(1500)}"}`;

test('a letter moves, and the table never holds its text', async () => {
  await storeBatch(batchOf(['a', LONG, 'b']), { from: 0, to: 3 }, { maxRecordBytes: 1024 });
  expect((await readLetters(store))[0]?.bytes).toEqual(Buffer.from(LONG));
  const [clear] = await store.query(`SELECT countIf(position(payload, 'mmmm') > 0) AS n FROM dead_letters`);
  expect(clear).toEqual({ n: 0 });
  await expectLaw1();
  const records = { stored: 1, filtered: 0, dead_lettered: 0 };
  expect(await redrive()).toEqual({ moved: 1, records, stayed: {}, skipped: {} });
  expect(await logs()).toEqual([
    [0, 'a', TIME_MS * 1000],
    [1, 'm'.repeat(1500), TIME_MS * 1000],
    [2, 'b', TIME_MS * 1000],
  ]);
  expect(await listed()).toEqual([]);
  await expectLaw1();
  expect(await redrive()).toMatchObject({ moved: 0, stayed: {}, skipped: {} });
  expect(await logs()).toHaveLength(3);
  const [rolled] = await store.query('SELECT sum(event_count) AS events FROM events_1m');
  expect(rolled).toEqual({ events: 3 });
});

test('killed between storing and marking, a record is stored once', async () => {
  await storeBatch(batchOf([LONG, LONG]), { from: 0, to: 2 }, { maxRecordBytes: 1024 });
  armFailpoints('redrive_between:throw', { isProduction: false });
  await expect(redrive()).rejects.toThrow('Failpoint redrive_between');
  expect(await logs()).toHaveLength(2);
  expect(await listed()).toHaveLength(2);
  expect(await redrive()).toMatchObject({ moved: 2, records: { stored: 2 } });
  expect(await logs()).toHaveLength(2);
  await expectLaw1();
});

test('a letter that fails again stays, with the newest reason', async () => {
  await storeBatch(
    batchOf([`{"message":"${'x'.repeat(2000)}`]),
    { from: 0, to: 1 },
    { maxRecordBytes: 1024 },
  );
  expect(await listed()).toMatchObject([{ newest_reason: 'record_too_large', attempted_us: 0 }]);
  expect(await redrive()).toMatchObject({ moved: 0, stayed: { malformed_json: 1 } });
  const [letter] = await listed();
  expect(letter).toMatchObject({ newest_reason: 'malformed_json', first_reason: 'record_too_large' });
  expect(letter?.newest_detail).toContain('at character');
  expect(letter?.attempted_us).toBeGreaterThan(0);
  await expectLaw1();
});

test('a batch moves when it can be read; what of it is no event becomes a letter, a filter count', async () => {
  const values = ['one', '{"broken":', ' ', `{"message":"${'z'.repeat(5000)}"}`];
  const records = values.map((value) => ({ value }));
  const batch = craftBatch({ records, baseOffset: 10, baseTimestampMs: TIME_MS, codec: 'gzip' });
  await storeBatch(batch, { from: 10, to: 14 }, { maxBatchBytes: 1024 });
  expect(await listed()).toMatchObject([{ newest_reason: 'decompression_failed', record_count: 4 }]);
  await expectLaw1();
  armFailpoints('redrive_between:throw', { isProduction: false });
  await expect(redrive()).rejects.toThrow('Failpoint');
  // As if only one of several partitions had been written.
  await store.command('DELETE FROM logs WHERE offset = 13');
  expect(await redrive()).toMatchObject({ moved: 1, records: { stored: 2, filtered: 1, dead_lettered: 1 } });
  expect((await logs()).map(([offset]) => offset)).toEqual([10, 13]);
  expect(await listed()).toMatchObject([{ offset: 11, content: 'record', newest_reason: 'malformed_json' }]);
  expect(await readLetters(store, `content = 'record'`)).toHaveLength(1);
  await expectLaw1();
});

test('a batch that cannot be read stays; the rest of a broken one is left alone', async () => {
  const broken = craftBatch({ records: [{ value: 'a' }, { value: 'b' }], crcError: 1 });
  await storeBatch(broken, { from: 0, to: 2 });
  const cut = craftBatch({
    records: [{ value: 'c' }, { value: 'd' }],
    baseOffset: 2,
    rawRecords: Buffer.from([14, 0, 0, 0, 1, 2, 0x63, 0, 99, 99, 99, 99, 99, 99]),
  });
  await storeBatch(cut, { from: 2, to: 4 });
  expect(await redrive()).toEqual({
    moved: 0,
    records: { stored: 0, filtered: 0, dead_lettered: 0 },
    stayed: { corrupt_batch: 1 },
    skipped: { 'It is the rest of a broken batch, of which nothing can be read.': 1 },
  });
  await expectLaw1();
});

test('a chunk that was dead-lettered undecoded moves within its range', async () => {
  const refusal = { reason: 'poison_record', detail: 'secret text', isUndecoded: true } as const;
  await storeBatch(batchOf(['a', 'b', 'c', 'd']), { from: 1, to: 3 }, { refusal });
  expect(await listed()).toMatchObject([{ offset: 1, to_offset: 3, record_count: 2 }]);
  expect((await listed())[0]?.newest_detail).not.toContain('secret');
  expect(await redrive()).toMatchObject({ moved: 1, records: { stored: 2 } });
  expect((await logs()).map(([offset, message]) => [offset, message])).toEqual([
    [1, 'b'],
    [2, 'c'],
  ]);
  await expectLaw1();
});

test('what ClickHouse said of a refused row is kept without its values', async () => {
  const detail = 'ClickHouse answered CANNOT_PARSE_TEXT (code 6): "cannot parse hunter2".';
  await storeBatch(batchOf(['a']), { from: 0, to: 1 }, { refusal: { reason: 'insert_refused', detail } });
  expect(await listed()).toMatchObject([{ newest_detail: 'ClickHouse answered CANNOT_PARSE_TEXT (code 6)' }]);
});

test('letters past the end of the ledger are not settled', async () => {
  await storeBatch(batchOf([LONG]), { from: 0, to: 1 }, { maxRecordBytes: 1024, isSettled: false });
  const { moved, skipped } = await redrive();
  expect({ moved, skipped: Object.entries(skipped) }).toEqual({
    moved: 0,
    skipped: [[expect.stringContaining('not settled yet'), 1]],
  });
  expect(await logs()).toEqual([]);
});

test('a letter of an earlier version, in clear text, moves too', async () => {
  await storeBatch(batchOf(['a']), { from: 0, to: 9 });
  const lane = { source: SOURCE, partition: PARTITION, reason: 'record_too_large' };
  const time = new Date(TIME_MS).toISOString();
  await store.insertJson('dead_letters', [
    { ...lane, offset: 5, record_time: time, payload: 'a clear line' },
  ]);
  expect(await redrive()).toMatchObject({ moved: 1, records: { stored: 1 } });
  expect((await logs())[1]).toEqual([5, 'a clear line', TIME_MS * 1000]);
});

test('a letter that another key sealed is left alone and says which', async () => {
  await storeBatch(batchOf([LONG]), { from: 0, to: 1 }, { maxRecordBytes: 1024 });
  const seal = new LetterSeal([new Uint8Array(32).fill(9)]);
  const summary = await withRedriveTurn(store, async (turn) => {
    const work = new Redrive({ store, redrive: turn, pool, seal });
    await work.run({}, 10);
    return work.summary;
  });
  expect(Object.keys(summary.skipped)).toEqual([expect.stringContaining('KEY_FILE holds')]);
  expect(await logs()).toEqual([]);
});

test('a letter that ends the worker stays; the others move', async () => {
  armFailpoints('poison:exit', { isProduction: false });
  const deadly = createParsePool(1, { ...WORKER, maxRecordBytes: MIB, maxBatchBytes: 64 * MIB });
  try {
    const poison = `MILLRACE-POISON ${'p'.repeat(1500)}`;
    await storeBatch(batchOf([LONG, LONG]), { from: 0, to: 2 }, { maxRecordBytes: 1024 });
    const refusal = { reason: 'poison_record', detail: 'x' } as const;
    await storeBatch(batchOf([poison], 2), { from: 2, to: 3 }, { refusal });
    const summary = await withRedriveTurn(store, async (turn) => {
      const work = new Redrive({
        store,
        redrive: turn,
        pool: deadly,
        seal: new LetterSeal([TEST_LETTER_KEY]),
      });
      await work.run({}, 10);
      return work.summary;
    });
    expect(summary).toMatchObject({ moved: 2, stayed: { poison_record: 1 } });
    await expectLaw1();
  } finally {
    await deadly.stop();
  }
});

test('a run that lost its turn stores nothing any more', async () => {
  await storeBatch(batchOf([LONG]), { from: 0, to: 1 }, { maxRecordBytes: 1024 });
  const run = withRedriveTurn(store, async (turn) => {
    await store.insertJson('redrive_turn', [{ one: 0, run: 42 }]);
    const work = new Redrive({ store, redrive: turn, pool, seal: new LetterSeal([TEST_LETTER_KEY]) });
    await work.run({}, 10);
  });
  await expect(run).rejects.toMatchObject({ code: 'lane_closed' });
  expect(await logs()).toEqual([]);
});
