/** The proxy against the real server: what each fault leaves in the table, and what the client is told. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createStore, type Store } from '../../../src/store/clickhouse-client.ts';
import { startClickHouse, type TestClickHouse } from '../../support/clickhouse.ts';
import { until } from '../../support/until.ts';
import { FAKE_ANSWERS, type FakeAnswer } from './fake-answers.ts';
import { type StoreProxy, seededFaults, startStoreProxy } from './store-proxy.ts';

const ROWS = 1000;

let clickhouse: TestClickHouse;
let proxy: StoreProxy;
let store: Store;
beforeAll(async () => {
  clickhouse = await startClickHouse({ isMigrated: false });
});
afterAll(async () => {
  await clickhouse.stop();
});
beforeEach(async () => {
  await clickhouse.store.command(
    'CREATE OR REPLACE TABLE t (number UInt64) ENGINE = MergeTree ORDER BY number',
  );
  proxy = await startStoreProxy(clickhouse.connection);
  store = createStore({ url: proxy.url, database: 'millrace' });
});
afterEach(async () => {
  await store.close();
  await proxy.stop();
});

/** As the pipeline inserts: the statement in the address, the rows in the body. Answers the error's code and text. */
async function insert(): Promise<{ code: string; message: string } | undefined> {
  const rows = Array.from({ length: ROWS }, (_, number) => ({ number }));
  try {
    await store.insertJson('t', rows);
    return undefined;
  } catch (error) {
    const { code = '', message } = error as Error & { code?: string };
    return { code, message };
  }
}

async function storedCount(): Promise<number> {
  const [row] = await clickhouse.store.query<{ count: number }>('SELECT count() AS count FROM t');
  return row?.count ?? 0;
}

const TOLD: Readonly<Record<FakeAnswer, { code: string; text: string }>> = {
  status_500: { code: 'store_unavailable', text: 'Internal Server Error' },
  too_many_parts: { code: 'store_overloaded', text: 'code 252' },
  memory_limit: { code: 'store_overloaded', text: 'code 241' },
  half_body: { code: 'store_unavailable', text: 'ECONNRESET' },
  exception_in_body: { code: 'store_overloaded', text: 'code 241' },
};

test('passes inserts, queries and statements, and adds the key', async () => {
  expect(await insert()).toBeUndefined();
  await store.command('INSERT INTO t SELECT number FROM numbers(5)');
  expect(await store.query('SELECT count() AS count FROM t')).toEqual([{ count: ROWS + 5 }]);
  expect(proxy.struck).toEqual([]);
});

describe('an answer that is not ClickHouse’s', () => {
  const cases = FAKE_ANSWERS.flatMap((answer) => [
    { answer, isStored: false },
    { answer, isStored: true },
  ]);
  test.each(cases)('$answer, rows stored: $isStored', async ({ answer, isStored }) => {
    proxy.strikeNext('t', { kind: 'answer', answer, isStored });
    const told = await insert();
    expect(told?.code).toBe(TOLD[answer].code);
    expect(told?.message).toContain(TOLD[answer].text);
    expect(await storedCount()).toBe(isStored ? ROWS : 0);
    expect(proxy.struck.map(({ table, status }) => ({ table, status }))).toEqual([
      { table: 't', status: isStored ? 200 : 0 },
    ]);
    expect(await insert()).toBeUndefined();
    expect(await storedCount()).toBe(isStored ? 2 * ROWS : ROWS);
  });
});

describe('a connection that is cut', () => {
  test('in the middle of the request: nothing is stored', async () => {
    proxy.strikeNext('t', { kind: 'cut', at: 'request' });
    expect((await insert())?.code).toBe('store_unavailable');
    expect(await storedCount()).toBe(0);
    expect(await insert()).toBeUndefined();
  });

  test('before the answer: the rows are stored', async () => {
    proxy.strikeNext('t', { kind: 'cut', at: 'answer' });
    expect((await insert())?.code).toBe('store_unavailable');
    expect(await storedCount()).toBe(ROWS);
  });

  test('cutAll: what is under way fails', async () => {
    proxy.strikeNext('t', { kind: 'hold' });
    const inserting = insert();
    await until(() => proxy.struck.length === 1);
    proxy.cutAll();
    expect((await inserting)?.code).toBe('store_unavailable');
  });
});

test('an answer that is held: the rows are stored, and the client hears of it only when told', async () => {
  proxy.strikeNext('t', { kind: 'hold' });
  let isAnswered = false;
  const inserting = insert().finally(() => {
    isAnswered = true;
  });
  await until(() => proxy.struck.length === 1);
  expect(await storedCount()).toBe(ROWS);
  expect(await store.query('SELECT 1 AS one')).toEqual([{ one: 1 }]);
  expect(isAnswered).toBe(false);
  proxy.release();
  expect(await inserting).toBeUndefined();
});

test('a request that is stalled: ClickHouse gets the rest of it when its sender is gone', async () => {
  proxy.strikeNext('t', { kind: 'stall' });
  const inserting = insert();
  await until(() => proxy.struck.length === 1);
  await store.close();
  expect((await inserting)?.code).toBe('store_unavailable');
  expect(await storedCount()).toBe(0);
  proxy.release();
  await until(() => proxy.struck[0]?.status === 200);
  expect(await storedCount()).toBe(ROWS);
});

test('seeded faults: the same seed strikes the same inserts, in about the share that was asked for', () => {
  const strikes = (seed: number): number[] => {
    const choose = seededFaults({ seed, share: 0.2, tables: ['t'], faults: [{ kind: 'hold' }] });
    expect(choose({ table: 'other', number: 1 })).toBeUndefined();
    const numbers = Array.from({ length: 1000 }, (_, i) => i + 1);
    return numbers.filter((number) => choose({ table: 't', number }) !== undefined);
  };
  expect(strikes(1)).toEqual(strikes(1));
  expect(strikes(1)).not.toEqual(strikes(2));
  expect(strikes(1).length).toBeGreaterThan(150);
  expect(strikes(1).length).toBeLessThan(250);
});
