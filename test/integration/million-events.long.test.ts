/** The built program against a fresh broker, both commands as a user types them. `npm run test:long` builds first. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Store } from '../../src/store/clickhouse-client.ts';
import { runCli } from '../support/cli.ts';
import { startBroker, type TestBroker } from '../support/kafka-broker.ts';
import { type Program, startProgram } from '../support/program.ts';
import { expectBalancedLedger, expectRollups } from '../support/stored.ts';
import { until } from '../support/until.ts';

const EVENT_COUNT = 1_000_000;
const MAX_RESIDENT_BYTES = 400_000_000;

describe(`${EVENT_COUNT} mixed events from produce over 6 partitions`, () => {
  let broker: TestBroker;
  let dataDir = '';
  let program: Program;
  let store: Store;
  // oxlint-disable-next-line typescript/no-explicit-any
  let account: any;
  beforeAll(async () => {
    broker = await startBroker();
    dataDir = await mkdtemp(join(tmpdir(), 'millrace-million-'));
    program = await startProgram({ dataDir, isBuilt: true, settings: { KAFKA_BROKERS: broker.brokers } });
    await program.ready();
    store = program.openStore();
    const start = new Date(Date.now() - 3 * 3_600_000).toISOString();
    const what = ['--kind', 'mixed', '--count', String(EVENT_COUNT), '--start', start, '--event-rate', '100'];
    const how = ['--rate', '0', '--seed', '11', '--brokers', broker.brokers, '--partitions', '6', '--json'];
    const produced = await runCli(['produce', ...what, ...how]);
    if (produced.code !== 0) throw new Error(`produce failed: ${produced.stderr}`);
    account = JSON.parse(produced.stdout);
    const stored = async (): Promise<number> => (await program.get('/pipeline/status')).stored;
    await until(async () => (await stored()) >= EVENT_COUNT, { timeoutMs: 300_000, intervalMs: 250 });
  }, 600_000);
  afterAll(async () => {
    await store.close();
    await program.kill();
    await broker.stop();
    await rm(dataDir, { recursive: true, force: true });
  });

  test('each kind has as many rows as were produced', async () => {
    const rows = await store.query<{ topic: string; events: number }>(
      `SELECT s.topic AS topic, count() AS events FROM logs INNER JOIN sources AS s ON s.number = logs.source
       GROUP BY topic`,
    );
    expect(Object.fromEntries(rows.map(({ topic, events }) => [topic, events]))).toEqual(account.by_kind);
  });

  test('the query that produce printed gives the checksum that it printed', async () => {
    const { query, checksum } = account;
    const [row] = await store.query(
      `SELECT events, distinct_events, toString(checksum) AS checksum FROM (${query})`,
    );
    expect(row).toEqual({ events: EVENT_COUNT, distinct_events: EVENT_COUNT, checksum });
  });

  test.each(['1m', '1h'] as const)(
    'the rollups per %s equal a recomputation from logs',
    async (resolution) => {
      await expectRollups(store, resolution);
    },
  );

  test('resident memory stayed under 400 MB, and at least 99 % took the fast path', async () => {
    const { peak } = await program.residentBytes();
    const { slow_path: slowPathCount } = await program.get('/pipeline/status');
    expect(peak).toBeLessThanOrEqual(MAX_RESIDENT_BYTES);
    expect(slowPathCount / EVENT_COUNT).toBeLessThanOrEqual(0.01);
  });

  test('SIGTERM ends it with 0; the ledger balances and Kafka has the end of every partition', async () => {
    await until(async () => (await expectBalancedLedger(store)).received === EVENT_COUNT);
    program.signal('SIGTERM');
    expect(await program.exited).toEqual({ code: 0, signal: null });
  });
});
