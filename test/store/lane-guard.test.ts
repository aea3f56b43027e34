import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { BlockStore, LaneToken, LedgerEntry } from '../../src/pipeline/ports.ts';
import { createBlockStore } from '../../src/store/block-store.ts';
import { createStore } from '../../src/store/clickhouse-client.ts';
import { createOwnerName } from '../../src/store/lane-claims.ts';
import { createLaneOwnership } from '../../src/store/lane-ownership.ts';
import { startClickHouse, type TestClickHouse } from '../support/clickhouse.ts';
import { laneBlock, letterBlock, startHoldingProxy } from '../support/lanes.ts';
import { until } from '../support/until.ts';

/** The guard of inserts: on a real server, with real claims. */

const FORMER = createOwnerName();
const LATTER = createOwnerName();
const LANE = { source: 7, partition: 300 };
const ROWS = { ...LANE, fromOffset: 0, count: 100 };
/** More than the server gathers of a body before it runs the statement. */
const LARGE = { ...LANE, count: 1000, messageLength: 2000 };

let clickhouse: TestClickHouse;
let blocks: BlockStore;

beforeAll(async () => {
  clickhouse = await startClickHouse();
  blocks = createBlockStore(clickhouse.store, { owner: FORMER });
});

beforeEach(async () => {
  for (const table of ['logs', 'dead_letters', 'ledger', 'events_1m'])
    await clickhouse.store.command(`TRUNCATE TABLE ${table}`);
});

afterAll(async () => {
  await clickhouse.stop();
});

async function take(owner: string, lane: { source: number; partition: number } = LANE): Promise<LaneToken> {
  const [standing] = await createLaneOwnership(clickhouse.store, { owner }).claim([lane]);
  return standing as LaneToken;
}

async function countRows(table = 'logs'): Promise<number> {
  const [row] = await clickhouse.store.query<{ n: number }>(`SELECT count() AS n FROM ${table}`);
  return row?.n ?? -1;
}

function ledgerEntry(token: LaneToken): LedgerEntry {
  return {
    ...token,
    fromOffset: 0,
    toOffset: 10,
    receivedCount: 10,
    storedCount: 7,
    alreadyPresentCount: 1,
    lostUpstreamCount: 4,
    filtered: { level: 1 },
    deadLettered: { invalid_json: 1 },
  };
}

describe('a ledger row whose answer was lost', () => {
  const sums = async (): Promise<unknown> =>
    await clickhouse.store.query(
      'SELECT count() AS n, min(from_offset) AS start, max(to_offset) AS end, sum(received) AS received FROM ledger FINAL',
    );

  async function loseAnswer(entry: LedgerEntry): Promise<BlockStore> {
    const store = createStore(clickhouse.connection);
    const insertBytes = store.insertBytes.bind(store);
    let isLost = false;
    store.insertBytes = async (insert, body) => {
      await insertBytes(insert, body);
      if (isLost) return;
      isLost = true;
      throw new Error('the answer was lost');
    };
    const target = createBlockStore(store, { owner: FORMER });
    await expect(target.insertLedger([entry])).rejects.toThrow('lost');
    return target;
  }

  test('counts once when its lane was claimed anew and it is written again, longer', async () => {
    const token = await take(FORMER);
    const target = await loseAnswer(ledgerEntry(token));
    let next: LaneToken = token;
    // More than once, before it comes through.
    for (let i = 0; i < 2; i += 1) {
      const request = { ...LANE, heldEpoch: next.epoch };
      const [standing] = await createLaneOwnership(clickhouse.store, { owner: FORMER }).claim([request]);
      next = standing as LaneToken;
    }
    await target.insertLedger([{ ...ledgerEntry(next), toOffset: 15, receivedCount: 15 }]);
    await target.insertLedger([{ ...ledgerEntry(next), fromOffset: 15, toOffset: 20, receivedCount: 5 }]);
    expect(await sums()).toEqual([{ n: 2, start: 0, end: 20, received: 20 }]);
  });

  test('stays beside one of the same offsets when somebody else had the lane meanwhile', async () => {
    const target = await loseAnswer(ledgerEntry(await take(FORMER)));
    await take(LATTER);
    const token = await take(FORMER);
    await target.insertLedger([{ ...ledgerEntry(token), toOffset: 5, receivedCount: 5 }]);
    expect(await sums()).toEqual([{ n: 2, start: 0, end: 10, received: 15 }]);
    const [standing] = await createLaneOwnership(clickhouse.store, { owner: LATTER }).claim([LANE]);
    expect(standing?.ledgerOffset).toBe(5);
  });
});

describe('an insert under a token in force', () => {
  test('stores its rows, with the defaults of columns its blocks leave out', async () => {
    const token = await take(FORMER);
    const before = Math.floor(Date.now() / 1000);
    await blocks.insertBlocks('logs', [await laneBlock(clickhouse.store, ROWS)], [token]);
    const [row] = await clickhouse.store.query(
      `SELECT count() AS n, min(toUnixTimestamp(stored_at)) >= {before:UInt32} AS isFresh, any(user) AS user,
         any(toString(source_ip)) AS ip, any(length(metadata)) AS metadata, countIf(memory_used IS NULL) AS nulls FROM logs`,
      { before },
    );
    expect(row).toEqual({ n: 100, isFresh: 1, user: '', ip: '::', metadata: 0, nulls: 100 });
  });

  test('may hold blocks of several lanes', async () => {
    const other = { source: 8, partition: 1 };
    const tokens = [await take(FORMER), await take(FORMER, other)];
    const parts = [ROWS, { ...ROWS, ...other }].map(async (rows) => await laneBlock(clickhouse.store, rows));
    await blocks.insertBlocks('logs', await Promise.all(parts), tokens);
    expect(await countRows()).toBe(200);
  });

  test('writes letters and ledger rows', async () => {
    const token = await take(FORMER);
    await blocks.insertBlocks('dead_letters', [await letterBlock(clickhouse.store, LANE, [3, 4])], [token]);
    await blocks.insertLedger([ledgerEntry(token)]);
    expect(await countRows('dead_letters')).toBe(2);
    const [row] = await clickhouse.store.query(
      `SELECT epoch, to_offset, received, stored, already_present, lost_upstream, filtered, dead_lettered,
         committed_at > now() - 60 AS isFresh FROM ledger`,
    );
    expect(row).toEqual({
      epoch: token.epoch,
      to_offset: 10,
      received: 10,
      stored: 7,
      already_present: 1,
      lost_upstream: 4,
      filtered: { level: 1 },
      dead_lettered: { invalid_json: 1 },
      isFresh: 1,
    });
  });
});

describe('an insert is refused with lane_closed', () => {
  test('when its token was revoked: rows, letters and ledger', async () => {
    const token = await take(FORMER);
    await take(LATTER);
    const closed = { code: 'lane_closed' };
    const rows = await laneBlock(clickhouse.store, ROWS);
    const letters = await letterBlock(clickhouse.store, LANE, [1]);
    await expect(blocks.insertBlocks('logs', [rows], [token])).rejects.toMatchObject(closed);
    await expect(blocks.insertBlocks('dead_letters', [letters], [token])).rejects.toMatchObject(closed);
    await expect(blocks.insertLedger([ledgerEntry(token)])).rejects.toMatchObject(closed);
    expect([await countRows(), await countRows('dead_letters'), await countRows('ledger')]).toEqual([
      0, 0, 0,
    ]);
  });

  test('when a lane of its rows has no token, or the token 0', async () => {
    const token = await take(FORMER);
    const rows = await laneBlock(clickhouse.store, ROWS);
    const foreign = await laneBlock(clickhouse.store, { ...ROWS, partition: 301 });
    const closed = { code: 'lane_closed' };
    await expect(blocks.insertBlocks('logs', [rows], [])).rejects.toMatchObject(closed);
    await expect(blocks.insertBlocks('logs', [rows], [{ ...LANE, epoch: 0 }])).rejects.toMatchObject(closed);
    await expect(blocks.insertBlocks('logs', [rows, foreign], [token])).rejects.toMatchObject(closed);
    await expect(blocks.insertLedger([ledgerEntry({ ...LANE, epoch: 0 })])).rejects.toMatchObject(closed);
    expect(await countRows()).toBe(0);
  });

  test('when one of its lanes was taken: the rows of the others with it', async () => {
    const other = { source: 8, partition: 2 };
    const tokens = [await take(FORMER), await take(FORMER, other)];
    await take(LATTER, other);
    const parts = [ROWS, { ...ROWS, ...other }].map(async (rows) => await laneBlock(clickhouse.store, rows));
    await expect(blocks.insertBlocks('logs', await Promise.all(parts), tokens)).rejects.toMatchObject({
      code: 'lane_closed',
    });
    expect(await countRows()).toBe(0);
  });
});

describe('an insert that is stopped in the middle of its body', () => {
  async function stopInTheMiddle(): Promise<{
    insert: Promise<void>;
    release: () => void;
    end: () => Promise<void>;
  }> {
    const token = await take(FORMER);
    const first = await laneBlock(clickhouse.store, { ...LARGE, fromOffset: 0 });
    const second = await laneBlock(clickhouse.store, { ...LARGE, fromOffset: 1000 });
    const proxy = await startHoldingProxy(clickhouse.connection.url, first.bytes.byteLength + 1_000_000);
    const store = createStore({ ...clickhouse.connection, url: proxy.url });
    const insert = createBlockStore(store, { owner: FORMER }).insertBlocks('logs', [first, second], [token]);
    insert.catch(() => undefined);
    const isRunning = async (): Promise<boolean> => {
      const sql = `SELECT query_id FROM system.processes WHERE startsWith(query_id, 'millrace-insert-${FORMER}')`;
      return (await clickhouse.store.query(sql)).length === 1;
    };
    await until(isRunning);
    return {
      insert,
      release: () => proxy.release(),
      end: async () => {
        await store.close();
        await proxy.stop();
      },
    };
  }

  test('is refused as a whole when it goes on after a claim, which waits for it', async () => {
    const stopped = await stopInTheMiddle();
    const impatient = createLaneOwnership(clickhouse.store, { owner: LATTER, writesTimeoutMs: 100 });
    // The second one finds the token revoked already, by itself, and waits all the same.
    for (let i = 0; i < 2; i += 1)
      await expect(impatient.claim([LANE])).rejects.toMatchObject({ code: 'store_unavailable' });
    stopped.release();
    await expect(stopped.insert).rejects.toMatchObject({ code: 'lane_closed' });
    await take(LATTER);
    expect([await countRows(), await countRows('events_1m')]).toEqual([0, 0]);
    await stopped.end();
  });

  test('stores everything when nobody claimed', async () => {
    const stopped = await stopInTheMiddle();
    stopped.release();
    await stopped.insert;
    expect(await countRows()).toBe(2000);
    await stopped.end();
  });

  test('is ended by the server when it never goes on, and leaves nothing', async () => {
    const stopped = await stopInTheMiddle();
    const startedAt = Date.now();
    await take(LATTER);
    expect(Date.now() - startedAt).toBeLessThan(20_000);
    expect(await countRows()).toBe(0);
    await stopped.end();
  });
});
