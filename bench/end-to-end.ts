/**
 * End to end: mixed events from Kafka into ClickHouse, Millrace against the naive pipeline of naive-pipeline.ts,
 * each alone, with the broker and ClickHouse on the same machine. Says CPU-seconds per million events of the
 * program and of ClickHouse, events per second, peak resident memory, and the ratio of the CPU.
 *
 *   npm run bench:end-to-end -- [--events 1000000] [--rounds 3]
 *
 * Events are seeded and lie in the broker before a run begins; the two alternate, medians count. After its last
 * row a run goes on for a few seconds, the same in both, so that merges are part of the figure.
 */
import type { ChildProcess } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { createStore, type Store, type StoreOptions } from '../src/store/clickhouse-client.ts';
import { openStore } from '../src/store/open-store.ts';
import { readRunFile } from '../src/store/run-file.ts';
import type { Telemetry } from '../src/telemetry.ts';
import { startBroker } from '../test/support/kafka-broker.ts';
import { builtFile, clickhousePidOf, end, runToEnd, startProgram } from './support/children.ts';
import { cpuSeconds, median, residentMemory } from './support/proc.ts';
import { saveResult } from './support/results.ts';

interface Run {
  readonly programCpuSeconds: number;
  readonly clickhouseCpuSeconds: number;
  readonly eventsPerSecond: number;
  readonly peakResidentBytes: number;
  readonly insertRows: number;
}

interface Watched {
  readonly store: Store;
  readonly program: ChildProcess;
  readonly clickhousePid: number;
}

const TOPICS = 'logs,system-metrics,threat-logs,security-events';
const SETTLE_MS = 5000;
const RUN_TIMEOUT_MS = 300_000;
const POLL_MS = 100;
const silent: Telemetry = { emit: () => undefined };

const { values: flags } = parseArgs({
  options: { events: { type: 'string', default: '1000000' }, rounds: { type: 'string', default: '3' } },
});
const eventCount = Number(flags.events);
const roundCount = Number(flags.rounds);

async function storedCount(store: Store): Promise<number> {
  const [row] = await store.query<{ count: number }>('SELECT count() AS count FROM logs');
  return row?.count ?? 0;
}

/** From the first row to the last, and a while for merges. */
async function watch({ store, program, clickhousePid }: Watched): Promise<Run> {
  const programPid = program.pid ?? 0;
  const endMs = Date.now() + RUN_TIMEOUT_MS;
  let firstMs = 0;
  let firstCount = 0;
  let count = 0;
  for (; count < eventCount; count = await storedCount(store)) {
    if (count > 0 && firstMs === 0) {
      firstMs = Date.now();
      firstCount = count;
    }
    if (program.exitCode !== null) throw new Error(`the program ended with code ${program.exitCode}`);
    if (Date.now() > endMs) throw new Error(`only ${count} of ${eventCount} events arrived`);
    await delay(POLL_MS);
  }
  const seconds = (Date.now() - firstMs) / 1000;
  await delay(SETTLE_MS);
  const [parts] = await store.query<{ rows: number }>(
    `SELECT round(avg(rows)) AS rows FROM system.parts WHERE database = currentDatabase() AND table = 'logs' AND level = 0`,
  );
  return {
    programCpuSeconds: cpuSeconds(programPid),
    clickhouseCpuSeconds: cpuSeconds(clickhousePid),
    eventsPerSecond: (eventCount - firstCount) / seconds,
    peakResidentBytes: residentMemory(programPid).peakBytes,
    insertRows: parts?.rows ?? 0,
  };
}

async function runMillrace(brokers: string, dataDir: string): Promise<Run> {
  const program = startProgram([builtFile('src/main.js'), 'up'], {
    MILLRACE_DATA_DIR: dataDir,
    MILLRACE_HTTP_PORT: '0',
    MILLRACE_KAFKA_BROKERS: brokers,
    MILLRACE_LOG_LEVEL: 'warn',
  });
  try {
    const store = createStore(await runningStore(dataDir));
    const run = await watch({ store, program, clickhousePid: clickhousePidOf(program.pid ?? 0) });
    await store.close();
    return run;
  } finally {
    await end(program);
  }
}

async function runningStore(dataDir: string): Promise<StoreOptions> {
  for (let attempt = 0; attempt < 300; attempt++) {
    const running = await readRunFile(dataDir);
    if (running !== undefined) {
      const { port, header, key } = running.clickhouse;
      return { url: `http://127.0.0.1:${port}`, database: 'millrace', headers: { [header]: key } };
    }
    await delay(POLL_MS);
  }
  throw new Error('the program did not start within 30 seconds');
}

async function runNaive(brokers: string, dataDir: string): Promise<Run> {
  const opened = await openStore({ dataDir, telemetry: silent, database: 'millrace' });
  const program = startProgram([builtFile('bench/naive-pipeline.js')], {
    BROKERS: brokers,
    TOPICS,
    CLICKHOUSE: JSON.stringify(opened.connection),
  });
  try {
    const clickhousePid = clickhousePidOf(process.pid);
    return await watch({ store: opened.store, program, clickhousePid });
  } finally {
    await end(program);
    await opened.close();
  }
}

async function inFreshDirectory<T>(work: (directory: string) => Promise<T>): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), 'millrace-bench-'));
  try {
    return await work(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function summarize(runs: readonly Run[]) {
  const perMillion = (seconds: number): number => (seconds / eventCount) * 1e6;
  const program = perMillion(median(runs.map((run) => run.programCpuSeconds)));
  const clickhouse = perMillion(median(runs.map((run) => run.clickhouseCpuSeconds)));
  return {
    programCpuSecondsPerMillion: round(program),
    clickhouseCpuSecondsPerMillion: round(clickhouse),
    totalCpuSecondsPerMillion: round(program + clickhouse),
    eventsPerSecond: Math.round(median(runs.map((run) => run.eventsPerSecond))),
    peakResidentMiB: Math.round(Math.max(...runs.map((run) => run.peakResidentBytes)) / 1024 / 1024),
    rowsPerInsert: Math.round(median(runs.map((run) => run.insertRows))),
  };
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}

const broker = await startBroker();
try {
  const produceArgs = ['produce', '--kind', 'mixed', '--rate', '0', '--seed', '1', '--json'];
  const target = ['--count', String(eventCount), '--brokers', broker.brokers, '--partitions', '6'];
  await runToEnd([builtFile('src/main.js'), ...produceArgs, ...target]);
  const millraceRuns: Run[] = [];
  const naiveRuns: Run[] = [];
  for (let index = 0; index < roundCount; index++) {
    // A consumer group of its own each time, so that every run reads everything.
    process.env['MILLRACE_KAFKA_GROUP'] = `millrace-${index}`;
    process.env['GROUP'] = `naive-${index}`;
    millraceRuns.push(await inFreshDirectory((directory) => runMillrace(broker.brokers, directory)));
    naiveRuns.push(await inFreshDirectory((directory) => runNaive(broker.brokers, directory)));
  }
  const millrace = summarize(millraceRuns);
  const naive = summarize(naiveRuns);
  const result = {
    eventCount,
    roundCount,
    millrace,
    naive,
    cpuRatio: round(millrace.totalCpuSecondsPerMillion / naive.totalCpuSecondsPerMillion),
  };
  saveResult('end-to-end', result);
} finally {
  await broker.stop();
}
