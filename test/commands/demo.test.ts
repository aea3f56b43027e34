/** `up --demo` as a program: the day is stored exactly once, and it stays off from data that are no demo. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Checksum, checksumQuery, SEQ_SQL } from '../../src/produce/checksum.ts';
import { createDemoDay } from '../../src/produce/demo-day.ts';
import { createStore, type Store } from '../../src/store/clickhouse-client.ts';
import { readRunFile } from '../../src/store/run-file.ts';
import { type CliResult, type RunningCli, runCli, startCli } from '../support/cli.ts';
import { until } from '../support/until.ts';

const EVENTS = 3000;
const MARKER = 'demo.json';

let folder = '';
let dataDir = '';
let args: string[] = [];
let up: RunningCli | undefined;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-demo-'));
  dataDir = join(folder, 'data');
  args = ['--data-dir', dataDir, '--http-port', '0', '--min-free-disk-mb', '0'];
});

afterAll(async () => {
  await up?.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function start(): Promise<{ banner: string; store: Store }> {
  up = startCli(['up', '--demo', '--demo-events', String(EVENTS), ...args]);
  const banner = await up.waitFor('Ctrl-C stops it');
  const { port, header, key } = (await readRunFile(dataDir))!.clickhouse;
  const url = `http://127.0.0.1:${port}`;
  return { banner, store: createStore({ url, headers: { [header]: key }, database: 'millrace' }) };
}

function refused(...more: string[]): Promise<CliResult> {
  return runCli(['up', '--demo', ...args, ...more]);
}

function readMarker(): { seed: number; endMs: number; events: number; isComplete: boolean } {
  return JSON.parse(readFileSync(join(dataDir, MARKER), 'utf8'));
}

/** What storage must hold of the day of the marker. */
function account() {
  const day = createDemoDay(readMarker());
  const checksum = new Checksum();
  for (const { hash } of day.events()) checksum.add(hash);
  return { day, checksum: checksum.toString() };
}

async function expectStoredOnce(store: Store): Promise<void> {
  const { day, checksum } = account();
  const query = checksumQuery({ firstSeq: 1, lastSeq: day.lastSeq });
  const [stored] = await store.query(
    `SELECT events, distinct_events, toString(checksum) AS checksum FROM (${query})`,
  );
  expect(stored).toEqual({ events: day.eventCount, distinct_events: day.eventCount, checksum });
}

test('the first start stores the day, says what is in it, and goes on with a few events per second', async () => {
  const { banner, store } = await start();
  await expectStoredOnce(store);
  expect(readMarker()).toMatchObject({ events: EVENTS, isComplete: true });
  const { day } = account();
  expect(Math.abs(day.eventCount - EVENTS)).toBeLessThan(EVENTS * 0.05);
  const shown = new Intl.NumberFormat('en-US').format(day.eventCount);
  expect(banner).toContain(`Demo        ${shown} made-up events of one day`);
  expect(banner).toContain(`source_ip=${day.attacker}`);
  expect(banner).toMatch(/Password +\S+/);
  const [seen] = await store.query<{ spread: number; attempts: number; hosts: number; metrics: number }>(
    `SELECT dateDiff('hour', min(timestamp), max(timestamp)) AS spread,
      countIf(source_ip = toIPv6({attacker:String}) AND outcome = 'failure' AND host = {target:String}) AS attempts,
      uniqExact(host) AS hosts, countIf(cpu_usage IS NOT NULL) AS metrics
    FROM (SELECT *, ${SEQ_SQL} AS seq FROM logs) WHERE seq BETWEEN 1 AND {lastSeq:UInt64}`,
    { attacker: day.attacker, target: day.target, lastSeq: day.lastSeq },
  );
  expect(seen).toMatchObject({ hosts: 20 });
  expect(seen!.spread).toBeGreaterThanOrEqual(23);
  expect(seen!.attempts).toBeGreaterThan(20);
  expect(seen!.metrics).toBeGreaterThan(300);
  const live = async (): Promise<number> => {
    const [row] = await store.query<{ total: number }>(
      `SELECT countIf(${SEQ_SQL} > {lastSeq:UInt64}) AS total FROM logs`,
      { lastSeq: day.lastSeq },
    );
    return row?.total ?? 0;
  };
  await until(async () => (await live()) > 20);
  await store.close();
  expect(await up?.stop()).toBe(0);
});

test('a start that was killed before it knew the end of the day adds nothing to what is there', async () => {
  writeFileSync(join(dataDir, MARKER), JSON.stringify({ ...readMarker(), isComplete: false }));
  const { banner, store } = await start();
  await expectStoredOnce(store);
  expect(readMarker().isComplete).toBe(true);
  expect(banner).toContain('password as set');
  await store.close();
  expect((await runCli(['status', '--data-dir', dataDir])).code).toBe(0);
  expect(await up?.stop()).toBe(0);
});

test('it is refused where it cannot be, and leaves nothing running', async () => {
  const kafka = await refused('--kafka-brokers', '127.0.0.1:9');
  expect(kafka).toMatchObject({ code: 2, stdout: '' });
  expect(kafka.stderr).toContain('--demo makes its own events and reads no Kafka');
  const few = await refused('--demo-events', '5');
  expect(few).toMatchObject({ code: 2, stdout: '' });
  expect(few.stderr).toContain('--demo-events must be a whole number from 1000 to ');
  rmSync(join(dataDir, MARKER));
  const foreign = await refused();
  expect(foreign).toMatchObject({ code: 2, stdout: '' });
  expect(foreign.stderr).toContain('there are events already, and no demo made them');
  expect(await readRunFile(dataDir)).toBeUndefined();
});
