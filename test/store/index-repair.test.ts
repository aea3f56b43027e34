import { readdirSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { repairParts } from '../../src/store/index-repair.ts';
import { readPresent } from '../../src/store/read-back.ts';
import { startClickHouse, type TestClickHouse } from '../support/clickhouse.ts';
import { until } from '../support/until.ts';

const ROWS = 50_000;
const LANE = { source: 1, partition: 0 };

let clickhouse: TestClickHouse;

beforeAll(async () => {
  clickhouse = await startClickHouse();
});

afterAll(async () => {
  await clickhouse.stop();
});

interface Part {
  readonly name: string;
  readonly path: string;
}

async function activePart(): Promise<Part> {
  const [part] = await clickhouse.store.query<Part>(
    `SELECT name, path FROM system.parts WHERE database = currentDatabase() AND table = 'logs' AND active`,
  );
  if (part === undefined) throw new Error('There is no part');
  return part;
}

/** As a merge leaves it that finds the disk full: the files of the index are cut off, all others are whole. */
async function cutIndexes({ path }: Part, leave: number): Promise<void> {
  const files = readdirSync(path).filter((name) => name.startsWith('skp_idx'));
  for (const file of files.map((name) => join(path, name)))
    truncateSync(file, Math.floor(leave * statSync(file).size));
  await clickhouse.store.command('SYSTEM DROP INDEX MARK CACHE');
}

test.each([0, 0.1, 0.5])(
  'rows of a part whose index is cut off at %f of its length are read, and the part is written anew',
  async (leave) => {
    const { store, telemetry } = clickhouse;
    store.onUnreadablePart = () => {};
    await store.command('TRUNCATE TABLE logs');
    await store.command(
      `INSERT INTO logs (timestamp, source, partition, offset, ingested_at, stored_at, retention_days)
       SELECT toDateTime64('2026-11-21 12:00:00', 6), 1, 0, number, now64(6), now(), 30 FROM numbers(${ROWS})`,
    );
    await store.command('OPTIMIZE TABLE logs FINAL');
    const broken = await activePart();
    await cutIndexes(broken, leave);
    const since = { starts: [{ ...LANE, fromOffset: ROWS - 100 }], maxRows: 1000 };
    const plain = `SELECT count() AS rows FROM logs WHERE offset >= 0 SETTINGS use_skip_indexes = 1`;
    // The statement's own setting has the last word: what it says without the second attempt.
    await expect(store.query(plain)).rejects.toThrow('CANNOT_READ_ALL_DATA');

    let streamed = 0;
    for await (const rows of store.stream('SELECT offset FROM logs WHERE offset >= 0'))
      streamed += rows.length;
    expect(streamed).toBe(ROWS);

    repairParts(store, telemetry, () => {});
    const rows = await readPresent(store, 'logs', since);
    expect(rows(LANE).rows.offsets).toHaveLength(100);
    await until(async () => (await activePart()).name !== broken.name, { timeoutMs: 10_000 });
    expect(await store.query(plain)).toEqual([{ rows: ROWS }]);
    expect(telemetry.count('index_unreadable')).toBeGreaterThan(0);
    expect(telemetry.count('index_repair_failed')).toBe(0);
  },
);
