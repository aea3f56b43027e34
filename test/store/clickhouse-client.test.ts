import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { MillraceError } from '../../src/errors.ts';
import { createStore, type Store } from '../../src/store/clickhouse-client.ts';
import { clickhouseCode } from '../../src/store/store-errors.ts';
import { startClickHouse, type TestClickHouse } from '../support/clickhouse.ts';
import { lowCardinality, nativeBlock, strings, uint64 } from '../support/native-block.ts';

let clickhouse: TestClickHouse;
let store: Store;

beforeAll(async () => {
  clickhouse = await startClickHouse({ isMigrated: false });
  store = clickhouse.store;
  await store.command(
    'CREATE TABLE t (n UInt64, s String, l LowCardinality(String)) ENGINE = MergeTree ORDER BY n',
  );
});

afterAll(async () => {
  await clickhouse.stop();
});

async function failureOf(work: Promise<unknown>): Promise<MillraceError> {
  return (await work.then(
    () => new Error('it did not fail'),
    (error: unknown) => error,
  )) as MillraceError;
}

const INSERT = { statement: 'INSERT INTO t FORMAT Native' };

function block(from: number, count: number): ArrayBuffer {
  const numbers = Array.from({ length: count }, (_, row) => from + row);
  return nativeBlock(count, [
    { name: 'n', type: 'UInt64', data: uint64(numbers) },
    { name: 's', type: 'String', data: strings(numbers.map((n) => `text ${n}`)) },
    { name: 'l', type: 'LowCardinality(String)', data: lowCardinality(numbers.map((n) => `l${n % 3}`)) },
  ]);
}

describe('a store', () => {
  test('binds parameters and never splices them', async () => {
    const text = `'; DROP TABLE t; -- \\' \n\t\0 ü`;
    const sql = 'SELECT {s:String} AS s, {n:UInt64} AS n, {a:Array(String)} AS a, {t:DateTime64(6)} AS t';
    const params = { s: text, n: 2 ** 53 - 1, a: [text, ''], t: '2026-01-02 03:04:05.123456' };
    expect(await store.query(sql, params)).toEqual([params]);
  });

  test('sends parameters longer than an address may be', async () => {
    const long = Array.from({ length: 5000 }, (_, n) => `value ${n}`);
    const [row] = await store.query('SELECT length({a:Array(String)}) AS c', { a: long });
    expect(row).toEqual({ c: 5000 });
  });

  test('gives rows as arrays and what was read', async () => {
    const selection = await store.selectArrays<[number, string]>(
      'SELECT number, toString(number) FROM numbers(3)',
    );
    expect(selection.rows).toEqual([
      [0, '0'],
      [1, '1'],
      [2, '2'],
    ]);
    expect(selection).toMatchObject({ rowsRead: 3, bytesRead: 24 });
  });

  test('streams a result in chunks and stops when the reader does', async () => {
    let count = 0;
    let chunks = 0;
    for await (const rows of store.stream<{ number: number }>('SELECT number FROM numbers(300000)')) {
      count += rows.length;
      chunks += 1;
    }
    expect(count).toBe(300_000);
    expect(chunks).toBeGreaterThan(1);
    for await (const rows of store.stream('SELECT number FROM numbers(1000000000)')) {
      expect(rows.length).toBeGreaterThan(0);
      break;
    }
  });

  test('gives NaN and infinity as null', async () => {
    expect(await store.query('SELECT nan AS a, inf AS b')).toEqual([{ a: null, b: null }]);
  });

  test('inserts several Native blocks as one part', async () => {
    await store.command('TRUNCATE TABLE t');
    await store.insertBytes(INSERT, [block(0, 100), block(100, 50)]);
    expect(
      await store.query('SELECT count() AS c, sum(n) AS n, uniqExact(l) AS l, any(s) AS s FROM t'),
    ).toEqual([{ c: 150, n: (149 * 150) / 2, l: 3, s: 'text 0' }]);
    const parts = `SELECT count() AS c FROM system.parts WHERE database = 'millrace' AND table = 't' AND active`;
    expect(await store.query(parts)).toEqual([{ c: 1 }]);
  });

  test('inserts the same rows twice when told twice', async () => {
    await store.command('TRUNCATE TABLE t');
    const rows = block(0, 10);
    await store.insertBytes(INSERT, [rows]);
    await store.insertBytes(INSERT, [rows]);
    expect(await store.query('SELECT count() AS c FROM t')).toEqual([{ c: 20 }]);
  });

  test('accepts blocks that leave out columns, each its own', async () => {
    await store.command('TRUNCATE TABLE t');
    await store.insertBytes(INSERT, [
      nativeBlock(1, [{ name: 'n', type: 'UInt64', data: uint64([1]) }]),
      nativeBlock(2, [
        { name: 'n', type: 'UInt64', data: uint64([2, 3]) },
        { name: 's', type: 'String', data: strings(['b', 'c']) },
      ]),
    ]);
    expect((await store.selectArrays('SELECT n, s, l FROM t ORDER BY n')).rows).toEqual([
      [1, '', ''],
      [2, 'b', ''],
      [3, 'c', ''],
    ]);
  });

  test('pings without throwing', async () => {
    expect(await store.ping()).toBe(true);
    const nobody = createStore({ ...clickhouse.connection, url: 'http://127.0.0.1:1' });
    expect(await nobody.ping()).toBe(false);
    await nobody.close();
  });

  test('tells the version', async () => {
    expect(await store.serverVersion()).toMatch(/^\d+\.\d+\./);
  });
});

describe('an error of the store', () => {
  test.each([
    ['SELECT * FROM nothing', 60, 'store_refused'],
    ['SELEKT 1', 62, 'store_refused'],
    ['SELECT sleep(1) SETTINGS max_execution_time = 0.1', 159, 'store_overloaded'],
    [
      'SELECT groupArray(number) FROM numbers(1000000) SETTINGS max_memory_usage = 1000000',
      241,
      'store_overloaded',
    ],
    ['INSERT INTO t SELECT 1, 2, 3 SETTINGS readonly = 1', 164, 'store_unavailable'],
  ])('of %j has code %i and is %s', async (sql, code, expected) => {
    const failure = await failureOf(store.command(sql));
    expect(failure).toMatchObject({ name: 'MillraceError', code: expected });
    expect(clickhouseCode(failure)).toBe(code);
  });

  test('is retryable for a lost connection, and names no secret', async () => {
    const lost = createStore({ url: 'http://someone:hunter2@127.0.0.1:1', database: 'millrace' });
    const failure = await failureOf(lost.query('SELECT 1'));
    await lost.close();
    expect(failure).toMatchObject({ code: 'store_unavailable', isRetryable: true });
    expect(failure.message).toBe('ClickHouse at 127.0.0.1:1 cannot be reached: ECONNREFUSED.');
    expect(`${failure.stack}${JSON.stringify(failure)}`).not.toContain('hunter2');
  });

  test('repeats no part of the request when the key is wrong', async () => {
    const stranger = createStore({ ...clickhouse.connection, headers: {} });
    const failure = await failureOf(stranger.query('SELECT {p:String}', { p: 'hunter2' }));
    await stranger.close();
    expect(failure).toMatchObject({ code: 'store_unavailable' });
    expect(failure.message).not.toMatch(/hunter2|query_id/);
  });

  test('is noticed though the status is 200', async () => {
    const settings = { wait_end_of_query: 0 };
    const sql = 'SELECT throwIf(number = 3000000) FROM numbers(10000000)';
    expect(clickhouseCode(await failureOf(store.command(sql, {}, { settings })))).toBe(395);
    const read = async (): Promise<void> => {
      for await (const rows of store.stream(sql)) expect(rows.length).toBeGreaterThan(0);
    };
    expect(clickhouseCode(await failureOf(read()))).toBe(395);
  });

  test('comes when a frozen server does not answer, and when the caller gives up', async () => {
    const impatient = createStore({ ...clickhouse.connection, requestTimeoutMs: 300 });
    clickhouse.freeze();
    try {
      expect(await failureOf(impatient.query('SELECT 1'))).toMatchObject({ code: 'store_unavailable' });
      const signal = AbortSignal.timeout(100);
      expect(await failureOf(store.query('SELECT 1', {}, { signal }))).toMatchObject({
        code: 'deadline_exceeded',
      });
    } finally {
      clickhouse.thaw();
      await impatient.close();
    }
    await sleep(50);
    expect(await store.query('SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });

  test('does not come of a stream whose rows are far apart', async () => {
    const impatient = createStore({ ...clickhouse.connection, requestTimeoutMs: 300 });
    const seen: unknown[] = [];
    for await (const rows of impatient.stream('SELECT sleep(1) AS slept')) seen.push(...rows);
    expect(seen).toEqual([{ slept: 0 }]);
    await impatient.close();
  });

  test('of an insert is refused when its bytes are at fault, large or small', async () => {
    for (const byteLength of [100, 40_000_000]) {
      const junk = new Uint8Array(byteLength).fill(0xff).buffer;
      expect(await failureOf(store.insertBytes(INSERT, [junk]))).toMatchObject({ code: 'store_refused' });
    }
    const cut = block(0, 1000).slice(0, 5000);
    expect(await failureOf(store.insertBytes(INSERT, [cut]))).toMatchObject({ code: 'store_refused' });
    const mistyped = nativeBlock(1, [{ name: 'n', type: 'String', data: strings(['many']) }]);
    expect(await failureOf(store.insertBytes(INSERT, [mistyped]))).toMatchObject({ code: 'store_refused' });
  });

  test('of an insert is retryable when the table is at fault: its rows must not become dead letters', async () => {
    const failure = await failureOf(
      store.insertBytes({ statement: 'INSERT INTO nothing FORMAT Native' }, [block(0, 1)]),
    );
    expect(clickhouseCode(failure)).toBe(60);
    expect(failure).toMatchObject({ code: 'store_unavailable' });
  });

  test('of an insert is refused for too many partitions, which only a smaller insert cures', async () => {
    await store.command('CREATE TABLE spread (n UInt64) ENGINE = MergeTree PARTITION BY n ORDER BY n');
    const wide = nativeBlock(200, [
      { name: 'n', type: 'UInt64', data: uint64(Array.from({ length: 200 }, (_, n) => n)) },
    ]);
    const failure = await failureOf(
      store.insertBytes({ statement: 'INSERT INTO spread FORMAT Native' }, [wide]),
    );
    expect(clickhouseCode(failure)).toBe(252);
    expect(failure).toMatchObject({ code: 'store_refused' });
  });

  test('of an insert is lane_closed when the ownership guard fires', async () => {
    const statement = `INSERT INTO t SELECT * FROM input('n UInt64, s String, l LowCardinality(String)')
      WHERE throwIf({epoch:UInt64} > 3) = 0 FORMAT Native`;
    await store.insertBytes({ statement, params: { epoch: 3 } }, [block(0, 10)]);
    const failure = await failureOf(store.insertBytes({ statement, params: { epoch: 4 } }, [block(0, 10)]));
    expect(failure).toMatchObject({ code: 'lane_closed' });
  });

  test('of an insert is disk_full when the disk has less room than is asked for', async () => {
    await store.command(
      `CREATE TABLE picky (n UInt64) ENGINE = MergeTree ORDER BY n
       SETTINGS min_free_disk_bytes_to_perform_insert = 1000000000000000`,
    );
    const failure = await failureOf(store.insertJson('picky', [{ n: 1 }]));
    expect(failure).toMatchObject({ code: 'disk_full', isRetryable: true });
  });

  test('of an address that is none is found before anything is sent', () => {
    for (const url of ['', 'localhost:8123', 'ftp://x', 'http://']) {
      expect(() => createStore({ url, database: 'millrace' })).toThrow('CLICKHOUSE_URL');
    }
  });
});
