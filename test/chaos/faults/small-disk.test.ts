/** The small disk under the real server: it refuses inserts before the last room is taken, and with room it goes on. */
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createStore } from '../../../src/store/clickhouse-client.ts';
import { EmbeddedServer } from '../../../src/store/embedded/embedded-server.ts';
import { RecordingTelemetry } from '../../support/clickhouse.ts';
import { skipHere } from '../../support/skip-here.ts';
import { mountSmallDisk, type SmallDisk, smallDiskProblem } from './small-disk.ts';

const MIB = 1024 * 1024;
const SIZE_BYTES = 128 * MIB;
/** Much for what is inserted, but less than the server wants to keep. */
const LEFT_BYTES = 32 * MIB;

let disk: SmallDisk | undefined;
let server: EmbeddedServer | undefined;
beforeEach(async (context) => {
  const problem = await smallDiskProblem();
  if (problem !== '') skipHere(context, problem);
  disk = await mountSmallDisk(SIZE_BYTES);
});
afterEach(async () => {
  await server?.stop();
  await disk?.unmount();
});

test('inserts fail with disk_full while there is little room left, and only then', async () => {
  const { path } = disk!;
  expect(await disk!.freeBytes()).toBeGreaterThan(SIZE_BYTES - MIB);
  server = new EmbeddedServer({ dataDir: join(path, 'data'), telemetry: new RecordingTelemetry() });
  await server.start();
  const store = createStore({ url: server.url, headers: server.headers, database: 'default' });
  try {
    await store.command('CREATE TABLE t (text String) ENGINE = MergeTree ORDER BY ()');
    const insert = async (): Promise<void> =>
      await store.command('INSERT INTO t SELECT randomPrintableASCII(1000) FROM numbers(4000)');
    await insert();
    await disk!.fill(LEFT_BYTES);
    expect(await disk!.freeBytes()).toBeLessThanOrEqual(LEFT_BYTES);
    await expect(insert()).rejects.toMatchObject({ code: 'disk_full' });
    await disk!.free();
    await insert();
    expect(await store.query('SELECT count() AS count FROM t')).toEqual([{ count: 8000 }]);
  } finally {
    await store.close();
  }
});
