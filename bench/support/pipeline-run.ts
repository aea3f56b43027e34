/**
 * One run of a pipeline for the benches: from records that lie in a broker to rows in a fresh ClickHouse, with what it
 * cost. After its last row a run goes on for a few seconds, the same in all, so that merges are part of the figure.
 */
import type { ChildProcess } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { createStore, type Store, type StoreOptions } from '../../src/store/clickhouse-client.ts';
import { openStore } from '../../src/store/open-store.ts';
import { readRunFile } from '../../src/store/run-file.ts';
import type { Telemetry } from '../../src/telemetry.ts';
import { builtFile, clickhousePidOf, end, runToEnd, startProgram } from './children.ts';
import { cpuSeconds, median, residentMemory } from './proc.ts';

export interface Run {
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
  readonly eventCount: number;
}

/** Where the events lie, and how many there are. */
export interface Load {
  readonly brokers: string;
  readonly eventCount: number;
}

const TOPICS = 'logs,system-metrics,threat-logs,security-events';
const SETTLE_MS = 5000;
const RUN_TIMEOUT_MS = 300_000;
const POLL_MS = 100;
const silent: Telemetry = { emit: () => undefined };

async function storedCount(store: Store): Promise<number> {
  const [row] = await store.query<{ count: number }>('SELECT count() AS count FROM logs');
  return row?.count ?? 0;
}

/** From the first row to the last, and a while for merges. */
async function watch({ store, program, clickhousePid, eventCount }: Watched): Promise<Run> {
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

/** The program as a user starts it, with these variables besides. */
export async function runMillrace(
  { brokers, eventCount }: Load,
  env: Readonly<Record<string, string>>,
): Promise<Run> {
  return await inFreshDirectory((dataDir) => millraceIn(dataDir, { brokers, eventCount }, env));
}

async function millraceIn(
  dataDir: string,
  { brokers, eventCount }: Load,
  env: Readonly<Record<string, string>>,
): Promise<Run> {
  const program = startProgram([builtFile('src/main.js'), 'up'], {
    MILLRACE_DATA_DIR: dataDir,
    MILLRACE_HTTP_PORT: '0',
    MILLRACE_KAFKA_BROKERS: brokers,
    MILLRACE_LOG_LEVEL: 'warn',
    ...env,
  });
  try {
    const store = createStore(await runningStore(dataDir));
    const clickhousePid = clickhousePidOf(program.pid ?? 0);
    const run = await watch({ store, program, clickhousePid, eventCount });
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

export async function runNaive(load: Load, group: string): Promise<Run> {
  return await inFreshDirectory((dataDir) => naiveIn(dataDir, load, group));
}

async function naiveIn(dataDir: string, { brokers, eventCount }: Load, group: string): Promise<Run> {
  const opened = await openStore({ dataDir, telemetry: silent, database: 'millrace' });
  const program = startProgram([builtFile('bench/naive-pipeline.js')], {
    BROKERS: brokers,
    TOPICS,
    GROUP: group,
    CLICKHOUSE: JSON.stringify(opened.connection),
  });
  try {
    const clickhousePid = clickhousePidOf(process.pid);
    return await watch({ store: opened.store, program, clickhousePid, eventCount });
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

/** Seeded events of all kinds, six partitions a topic. */
export async function produceEvents({ brokers, eventCount }: Load): Promise<void> {
  const args = ['produce', '--kind', 'mixed', '--rate', '0', '--seed', '1', '--json'];
  const target = ['--count', String(eventCount), '--brokers', brokers, '--partitions', '6'];
  await runToEnd([builtFile('src/main.js'), ...args, ...target]);
}

/** Medians, per million events where that makes sense. */
export function summarize(runs: readonly Run[], eventCount: number) {
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

export function round(value: number): number {
  return Math.round(value * 100) / 100;
}
