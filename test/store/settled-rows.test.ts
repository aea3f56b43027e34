/** Redrives and replays at their store: cut off, overtaken by another run, and what they leave for law 1. */
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { type LetterRow, letterPage, letterStretch } from '../../src/api/letters/letter-sql.ts';
import type { Block } from '../../src/pipeline/parse-protocol.ts';
import type { ChunkStore, ReplayMode } from '../../src/replay/ports.ts';
import { createBlockStore } from '../../src/store/block-store.ts';
import type { Store } from '../../src/store/clickhouse-client.ts';
import { createLaneOwnership } from '../../src/store/lane-ownership.ts';
import { withRedriveTurn } from '../../src/store/redrive-store.ts';
import { createChunkStore } from '../../src/store/replay-chunks.ts';
import { withReplayStore } from '../../src/store/replay-store.ts';
import { decideReplacement, finishReplacement } from '../../src/store/replay-swap.ts';
import { createReplayTables } from '../../src/store/replay-tables.ts';
import { type SettledTurn, withSettledTurn } from '../../src/store/settled-rows.ts';
import { startClickHouse, type TestClickHouse } from '../support/clickhouse.ts';
import { laneBlock, letterBlock, recordTime } from '../support/lanes.ts';

const LANE = { source: 3, partition: 4 };
const RANGE = { ...LANE, fromOffset: 0, toOffset: 10 };
const STALE_RUN = 42;

let clickhouse: TestClickHouse;
let store: Store;
beforeAll(async () => {
  clickhouse = await startClickHouse();
  store = clickhouse.store;
});
afterAll(() => clickhouse.stop());
beforeEach(async () => {
  const tables = await store.query<{ name: string }>(
    `SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree' AND name != 'migrations'`,
  );
  for (const { name } of tables) await store.command(`TRUNCATE TABLE ${name}`);
});

async function rows(fromOffset: number, count: number): Promise<Block> {
  return await laneBlock(store, { ...LANE, fromOffset, count });
}

async function insert(table: 'logs' | 'dead_letters', block: Block): Promise<void> {
  await createBlockStore(store, { owner: 'test', isGuarded: false }).insertBlocks(table, [block], []);
}

async function replay(mode: ReplayMode, work: (chunks: ChunkStore) => Promise<void>, onStage = () => {}) {
  await withReplayStore(store, { mode, ranges: [RANGE], onStage }, work);
}

/** As a second run does when the mutex of the first has expired. */
async function stealTurn(): Promise<void> {
  await store.insertJson('redrive_turn', [{ one: 0, run: STALE_RUN }]);
}

async function count(from: string): Promise<number | undefined> {
  return (await store.query<{ n: number }>(`SELECT count() AS n FROM ${from}`))[0]?.n;
}

async function messages(): Promise<unknown> {
  return await store.query('SELECT offset, message FROM logs ORDER BY offset');
}

async function put(chunks: ChunkStore, logs: readonly Block[], deadLetters: readonly Block[] = []) {
  return await chunks.put({ ...RANGE, receivedUs: 0 }, { logs, deadLetters });
}

test.each(['redrive', 'replay'])(
  'a redrive that was cut off: the next %s repairs its rollups',
  async (next) => {
    const run = withRedriveTurn(store, async (redrive) => {
      await redrive.insert('logs', [await rows(0, 10)]);
      throw new Error('cut off');
    });
    await expect(run).rejects.toThrow('cut off');
    // As if the server had been killed between the parts of the rows and of their counts.
    for (const table of ['events_1m', 'events_1h', 'host_metrics_1h'])
      await store.command(`TRUNCATE TABLE ${table}`);
    if (next === 'redrive') await withRedriveTurn(store, async () => {});
    else await replay('missing', async () => {});
    for (const sum of [
      'event_count) FROM events_1m',
      'event_count) FROM events_1h',
      'cpu_count) FROM host_metrics_1h',
    ]) {
      expect(await store.query(`SELECT sum(${sum.replace(')', ') AS counted')}`)).toEqual([{ counted: 10 }]);
    }
    expect(
      await count(`system.tables WHERE database = currentDatabase() AND startsWith(name, 'replay_')`),
    ).toBe(0);
  },
);

test('a replay that stood still stores nothing beside the one that has taken its turn', async () => {
  const logs = [await rows(0, 10)];
  const stopped = replay('missing', async (chunks) => {
    await stealTurn();
    await put(chunks, logs);
  });
  await expect(stopped).rejects.toMatchObject({ code: 'lane_closed' });
  expect(await count('logs')).toBe(0);
});

test('a replacement that stood still changes nothing any more', async () => {
  await insert('logs', await rows(0, 10));
  const before = await messages();
  let isStolen = Promise.resolve();
  const stopped = replay('replace', async (chunks) => {
    await put(chunks, [await rows(0, 10)]);
    isStolen = stealTurn();
    await isStolen;
  });
  await expect(stopped).rejects.toMatchObject({ code: 'lane_closed' });
  expect(await messages()).toEqual(before);
});

describe('a replacement that stood still until its fence expired', () => {
  /** Of another program, while the one that replaces stands still. */
  async function takeLane(): Promise<void> {
    await store.command('DROP TABLE mutex_replace SYNC');
    const [standing] = await createLaneOwnership(store, { owner: 'other' }).claim([LANE]);
    const late = await laneBlock(store, { ...LANE, fromOffset: 100, count: 5 });
    await createBlockStore(store, { owner: 'other' }).insertBlocks('logs', [late], [standing!]);
  }

  /** Stands still in the command that replaces: before its last look, or after it. */
  async function replaceLate(at: 'before' | 'after'): Promise<void> {
    await insert('logs', await rows(0, 10));
    await withSettledTurn(store, async (turn) => {
      await createReplayTables(turn);
      const late: SettledTurn = {
        ...turn,
        async command(sql, check) {
          if (!sql.includes(' REPLACE PARTITION ')) return await turn.command(sql, check);
          if (at === 'after') await check?.();
          await takeLane();
          await turn.command(sql, at === 'after' ? undefined : check);
        },
      };
      await put(createChunkStore(store, turn, 'replace'), [await rows(0, 10)]);
      await decideReplacement(turn, [RANGE]);
      await finishReplacement(store, late, { ranges: [RANGE] });
    });
  }

  test('replaces nothing when it looks once more', async () => {
    await expect(replaceLate('before')).rejects.toMatchObject({ code: 'lane_closed' });
    expect(await count('logs')).toBe(15);
  });

  test('says what to do when it comes too late for that', async () => {
    const failure = replaceLate('after');
    await expect(failure).rejects.toMatchObject({ code: 'lane_closed' });
    await expect(failure).rejects.toThrow('replay --mode missing');
    expect(await count('logs')).toBe(10);
  });
});

test('a letter that a replay makes an event is marked; one that it makes a letter again counts as one', async () => {
  await insert('logs', await rows(0, 5));
  await insert('dead_letters', await letterBlock(store, LANE, [5, 6]));
  await replay('replace', async (chunks) => {
    await put(chunks, [await rows(0, 6)], [await letterBlock(store, LANE, [6])]);
  });
  const lane = { source: LANE.source, partition: LANE.partition };
  const moved = { moved: 1, moved_reasons: { invalid_json: 1 }, stored: 1, filtered: {}, dead_lettered: {} };
  expect(await store.query('SELECT * FROM moved_letters')).toEqual([{ ...lane, ...moved }]);
  expect(await count('logs')).toBe(6);
  await replay('replace', async (chunks) => {
    await put(chunks, [await rows(0, 5)], [await letterBlock(store, LANE, [5, 6])]);
  });
  expect(await store.query('SELECT * FROM moved_letters')).toEqual([]);
  const { sql, params } = letterPage({}, 10);
  const listed = await store.query<LetterRow>(sql, params);
  expect(new Set(listed.map(({ offset }) => offset))).toEqual(new Set([5, 6]));
  expect(await count('logs')).toBe(5);
});

test('what has become of moved letters, per lane', async () => {
  const mark = {
    ...LANE,
    content: 'record',
    recordCount: 1,
    firstReason: 'malformed_json',
    isMoved: true,
  } as const;
  await withRedriveTurn(store, async (redrive) => {
    await redrive.mark([
      { ...mark, offset: 1, recordTimeUs: 1, storedCount: 1 },
      { ...mark, offset: 2, recordTimeUs: 2, isMoved: false, reason: 'malformed_json' },
      { ...mark, offset: 3, recordTimeUs: 3, filtered: { blank: 1 } },
      {
        ...mark,
        offset: 10,
        recordTimeUs: 9,
        content: 'batches',
        firstReason: 'corrupt_batch',
        recordCount: 4,
        storedCount: 3,
        deadLettered: { malformed_json: 1 },
      },
    ]);
  });
  expect(await store.query('SELECT * FROM moved_letters')).toEqual([
    {
      ...LANE,
      moved: 6,
      moved_reasons: { malformed_json: 2, corrupt_batch: 4 },
      stored: 4,
      filtered: { blank: 1 },
      dead_lettered: { malformed_json: 1 },
    },
  ]);
});

test("the newest attempt is the newest by the server's clock", async () => {
  const mark = {
    ...LANE,
    offset: 1,
    recordTimeUs: 1,
    content: 'record',
    recordCount: 1,
    firstReason: 'x',
  } as const;
  const clock = vi.spyOn(Date, 'now').mockReturnValue(Date.now() + 86_400_000);
  await withRedriveTurn(store, (redrive) => redrive.mark([{ ...mark, isMoved: false, reason: 'early' }]));
  clock.mockRestore();
  await withRedriveTurn(store, (redrive) => redrive.mark([{ ...mark, isMoved: true }]));
  expect(await store.query('SELECT is_moved FROM redrives FINAL')).toEqual([{ is_moved: true }]);
});

test('a page of letters to drive again reads its own part of the table', async () => {
  const total = 60_000;
  await store.command(
    `INSERT INTO dead_letters (source, partition, offset, record_time, reason, to_offset, record_count, content)
     SELECT 3, 4, number, fromUnixTimestamp64Micro(toInt64(${recordTime(0)} + number)), 'malformed_json', number + 1, 1, 'record'
     FROM numbers(${total})`,
  );
  await withRedriveTurn(store, async (redrive) => {
    const mark = {
      ...LANE,
      recordTimeUs: recordTime(0) + 50_001,
      content: 'record',
      firstReason: 'malformed_json',
    } as const;
    await redrive.mark([{ ...mark, offset: 50_001, recordCount: 1, isMoved: true }]);
  });
  const after = {
    ...LANE,
    offset: 49_999,
    record_us: recordTime(0) + 49_999,
    content: 'record',
  } as LetterRow;
  const { sql, params } = letterStretch({ reasons: ['malformed_json'] }, 100, after);
  const page = await store.select<LetterRow & { is_meant: boolean }>(sql, params);
  expect(page.rows.map(({ offset }) => offset)).toEqual(Array.from({ length: 100 }, (_, i) => 50_000 + i));
  expect(page.rows.filter(({ is_meant: isMeant }) => !isMeant).map(({ offset }) => offset)).toEqual([50_001]);
  expect(page.rowsRead).toBeLessThan(20_000);
});

test('a claim that names an end reads nothing past it', async () => {
  await insert('logs', await rows(0, 30));
  const request = { ...LANE, fromOffset: 10, toOffset: 20 };
  const [standing] = await createLaneOwnership(store, { owner: 'test' }).claim([request]);
  expect([...standing!.present.logs.offsets]).toEqual(Array.from({ length: 10 }, (_, i) => 10 + i));
});
