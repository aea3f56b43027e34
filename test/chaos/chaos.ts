/**
 * What a scenario works with: programs, load, broker, ClickHouse, and the oracle. All of it ends with the scenario.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Sabotage } from '../../src/failpoints.ts';
import { Random } from '../../src/produce/random.ts';
import type { Store } from '../../src/store/clickhouse-client.ts';
import { startClickHouse, type TestClickHouse } from '../support/clickhouse.ts';
import { createTopic, uniqueName } from '../support/kafka.ts';
import { type BrokerOptions, freePort, startBroker, type TestBroker } from '../support/kafka-broker.ts';
import { startKeyedProxy } from '../support/keyed-proxy.ts';
import { until } from '../support/until.ts';
import { Load } from './load.ts';
import { Member, type Resources } from './member.ts';
import { ExpectedEvents, SEQS_PER_LOAD } from './oracle/expected-events.ts';
import { readLetterKeys } from './oracle/letters.ts';
import { askOracle, type OracleSubject, readOffsets, readTruths } from './oracle/oracle.ts';
import type { FateOf } from './oracle/rows.ts';
import type { TopicTruth } from './oracle/truth.ts';
import type { Scale } from './scenario.ts';

export interface ChaosOptions {
  readonly seed: number;
  readonly scale: Scale;
  /** Of the broker that all scenarios share. */
  readonly brokers: readonly string[];
  readonly sabotage?: Sabotage;
  /** Told what happens, as it happens. */
  readonly onProgress?: (text: string) => void;
  /** Ends the run before its time: everything it started is ended, and it has no result. */
  readonly signal?: AbortSignal;
}

export interface ProgramSpec {
  /** Default `up`, with its own embedded ClickHouse; `process` needs `clickhouse`. */
  readonly command?: 'up' | 'process';
  readonly clickhouse?: ExternalClickHouse;
  /** Default: a directory of the run. */
  readonly dataDir?: string;
  readonly settings?: Readonly<Record<string, string>>;
  /** Further variables of its environment, as they are. */
  readonly environment?: Readonly<Record<string, string>>;
}

/** An embedded server of its own, reached like an external one. */
export interface ExternalClickHouse extends TestClickHouse {
  /** For CLICKHOUSE_URL. */
  readonly url: string;
}

export interface LoadSpec {
  /** Events per second; 0: as fast as Kafka takes them. Default 2,000. */
  readonly rate?: number;
  /** Default: until it is stopped. */
  readonly count?: number;
  /** Default: the first topic. */
  readonly topic?: string;
}

export interface VerifyOptions {
  /** The program whose embedded ClickHouse holds the rows; default: the first. */
  readonly member?: Member;
  /** Default: that of the member. */
  readonly store?: Store;
  /** What must have become of records that are not simply stored. */
  readonly fateOf?: FateOf;
  /** See `OracleInput.truths`. */
  readonly truths?: readonly TopicTruth[];
  /** How long until everything may be committed; default 60 s. */
  readonly settleMs?: number;
}

export interface WarmUpOptions {
  /** Default: the embedded one of the program. */
  readonly clickhouse?: Pick<TestClickHouse, 'freeze' | 'thaw'>;
  readonly count?: number;
}

/** Where a finding comes from: the oracle, or a demand of the scenario itself. */
export interface Finding {
  readonly by: OracleSubject | 'scenario';
  readonly text: string;
}

export interface Fault {
  readonly atMs: number;
  readonly text: string;
}

const SETTLE_MS = 60_000;
const RESTART_MS = 60_000;
/** A session of the group lasts 45 s: a member that cannot say good-bye is waited for that long. */
const BACK_MS = 75_000;
const DEFAULT_RATE = 2000;
const WARM_UP_COUNT = 250_000;
const TOLERANCE = 0.15;
/** A few sockets come and go with keep-alive connections. */
const FILE_TOLERANCE = 4;
const IDLE_MS = 45_000;
/** The program gives memory back when it was idle for two looks of 5 s each, and once more after four. */
const REST_MS = 30_000;
const MIB = 1024 * 1024;
/** What a machine with too much to do answers late, and that it answers again. */
const LATE = ['silent', 'ready'];
const OF_RESTART = ['down', 'silent', 'starting', 'clickhouse_unavailable', 'kafka_unavailable'];

export class Chaos {
  readonly seed: number;
  readonly scale: Scale;
  readonly random: Random;
  readonly sabotage: Sabotage | undefined;
  readonly group = uniqueName('chaos');
  readonly topics: string[] = [];
  readonly members: Member[] = [];
  readonly findings: Finding[] = [];
  readonly faults: Fault[] = [];
  /** Named figures of the report, such as `restart_ms`. */
  readonly figures = new Map<string, number[]>();
  /** Records that the oracle found in the broker. */
  recordCount = 0;
  #brokers: readonly string[];
  readonly #options: ChaosOptions;
  readonly #startedAt = Date.now();
  readonly #expected = new ExpectedEvents();
  readonly #loads: Load[] = [];
  readonly #closers: (() => Promise<unknown>)[] = [];
  #directory = '';
  #brokerDirectory: string | undefined;

  constructor(options: ChaosOptions) {
    this.#options = options;
    this.seed = options.seed;
    this.scale = options.scale;
    this.random = new Random(options.seed);
    this.sabotage = options.sabotage;
    this.#brokers = options.brokers;
  }

  /** The broker in use: the shared one, or the scenario's own. */
  get brokers(): readonly string[] {
    return this.#brokers;
  }

  /** One value for the short form, another for the long one. */
  pick<T>(short: T, long: T): T {
    return this.scale === 'short' ? short : long;
  }

  /** Path of a file or directory of this run; removed at the end. */
  async path(name: string): Promise<string> {
    if (this.#directory === '') {
      const directory = await mkdtemp(join(tmpdir(), 'millrace-chaos-'));
      this.#directory = directory;
      this.atEnd(() => rm(directory, { recursive: true, force: true }));
    }
    return join(this.#directory, name);
  }

  /** Runs at the end, last first, whatever happened. */
  atEnd(close: () => Promise<unknown>): void {
    this.#closers.push(close);
  }

  /** A broker of the scenario's own, for scenarios that harm it; call it first of all. */
  async ownBroker(options: BrokerOptions = {}): Promise<TestBroker> {
    const broker = await startBroker(options);
    this.atEnd(() => broker.stop());
    this.#brokers = [broker.brokers];
    this.#brokerDirectory = broker.dataDirectory;
    return broker;
  }

  /** A new topic, read by programs that are made after it. */
  async createTopic(partitions = 4, config: Readonly<Record<string, string>> = {}): Promise<string> {
    const topic = await createTopic('chaos', partitions, { brokers: this.brokers, config });
    this.topics.push(topic);
    return topic;
  }

  /** A ClickHouse outside the program, that stays when the program goes. */
  async startClickHouse(): Promise<ExternalClickHouse> {
    const clickhouse = await startClickHouse();
    this.atEnd(() => clickhouse.stop());
    const proxy = await startKeyedProxy(clickhouse.connection);
    this.atEnd(() => proxy.stop());
    return { ...clickhouse, url: proxy.url };
  }

  /** A program of the group, on a data directory of its own; not yet started. */
  async createMember(spec: ProgramSpec = {}): Promise<Member> {
    const name = `program ${this.members.length + 1}`;
    const member = new Member({
      name,
      command: spec.command ?? 'up',
      dataDir: spec.dataDir ?? (await this.path(`data-${this.members.length + 1}`)),
      port: await freePort(),
      settings: {
        KAFKA_BROKERS: this.brokers.join(','),
        KAFKA_TOPICS: this.topics.join(','),
        KAFKA_GROUP: this.group,
        ...(spec.clickhouse !== undefined && { CLICKHOUSE_URL: spec.clickhouse.url }),
        ...spec.settings,
      },
      environment: spec.environment ?? {},
      failpoints: this.sabotage === undefined ? [] : [`sabotage:${this.sabotage}`],
    });
    this.members.push(member);
    this.atEnd(() => member.close());
    return member;
  }

  /** The usual set-up: one topic, one program that is ready. */
  async startProgram(spec: ProgramSpec = {}): Promise<Member> {
    if (this.topics.length === 0) await this.createTopic();
    const member = await this.createMember(spec);
    await member.start();
    await member.ready();
    return member;
  }

  /**
   * A first backlog, stored and over: after most faults there is one, in Kafka, arena and blocks, and the first makes
   * the program hold what it holds from then on. So ClickHouse stands still as long as the load lasts. Answers the
   * resources of the program at rest.
   */
  async warmUp(
    member: Member,
    { clickhouse, count = WARM_UP_COUNT }: WarmUpOptions = {},
  ): Promise<Resources> {
    const { freeze, thaw } = clickhouse ?? (await embeddedServer(member));
    const load = await this.startLoad({ rate: 0, count });
    freeze();
    await load.finished().finally(thaw);
    await this.eventually(() => this.settle(), 'the first load is stored');
    await this.eventually(() => member.state === 'ready', 'the program is ready after the first load');
    return await this.resourcesAtRest(member);
  }

  /** After a while without load, in which the program gives back what it does not need. */
  async resourcesAtRest(member: Member): Promise<Resources> {
    await delay(REST_MS);
    return await member.resources();
  }

  /** Seeded load, beside everything else. */
  async startLoad(spec: LoadSpec = {}): Promise<Load> {
    const index = this.#loads.length + 1;
    const load = new Load({
      brokers: this.brokers,
      topic: spec.topic ?? this.topics[0] ?? '',
      rate: spec.rate ?? DEFAULT_RATE,
      ...(spec.count !== undefined && { count: spec.count }),
      seed: this.seed * 100 + index,
      firstSeq: index * SEQS_PER_LOAD,
      ledgerFile: await this.path(`ledger-${index}.tsv`),
    });
    this.#expected.add(load.generator);
    this.#loads.push(load);
    this.atEnd(async () => load.kill());
    return load;
  }

  /** A pause of a length that the seed decides. */
  async pause(leastMs: number, mostMs: number): Promise<void> {
    await delay(this.random.between(leastMs, mostMs));
  }

  /** Writes down a fault, just before or after it is done. */
  fault(text: string): void {
    const atMs = Date.now() - this.#startedAt;
    this.faults.push({ atMs, text });
    this.#progress(text);
  }

  /** A figure for the report; several of one name are listed. */
  figure(name: string, value: number): void {
    this.figures.set(name, [...(this.figures.get(name) ?? []), Math.round(value)]);
  }

  /** A demand of the scenario; when it does not hold, the scenario fails at its end. */
  expect(holds: boolean, sentence: string): void {
    if (!holds) this.findings.push({ by: 'scenario', text: sentence });
  }

  /** Waits for a condition of the scenario; a finding, not an exception, when it does not come. Answers whether it did. */
  async eventually(
    condition: () => boolean | Promise<boolean>,
    sentence: string,
    timeoutMs = SETTLE_MS,
  ): Promise<boolean> {
    const holds = await until(condition, { timeoutMs, intervalMs: 100 }).then(
      () => true,
      () => false,
    );
    this.expect(holds, `not within ${timeoutMs / 1000} s: ${sentence}`);
    return holds;
  }

  /** Rows stored now, as ClickHouse counts them; undefined while it cannot be asked. */
  async storedCount(from: Member | Store): Promise<number | undefined> {
    try {
      const store = from instanceof Member ? await from.embeddedStore() : from;
      const [row] = (await store?.query<{ rows: number }>('SELECT count() AS rows FROM logs')) ?? [];
      return row?.rows;
    } catch {
      return undefined;
    }
  }

  /** Resolves with the milliseconds from now until rows come in that were not there at first sight. Needs load. */
  async firstInsert(from: Member | Store, timeoutMs = RESTART_MS): Promise<number> {
    const startedAt = Date.now();
    let first: number | undefined;
    await until(
      async () => {
        const count = await this.storedCount(from);
        first ??= count;
        return count !== undefined && first !== undefined && count > first;
      },
      { timeoutMs, intervalMs: 50, seen: () => this.members.map((member) => member.printedTail) },
    );
    return Date.now() - startedAt;
  }

  /** Waits until the group has committed to the end of all topics. False: not in time; the oracle will say where. */
  async settle(timeoutMs = SETTLE_MS): Promise<boolean> {
    const what = { brokers: this.brokers, group: this.group, topics: this.topics };
    const isAtEnd = async (): Promise<boolean> => {
      const { ends, committed } = await readOffsets(what);
      return ends.size > 0 && [...ends].every(([place, end]) => committed.get(place) === end);
    };
    return await until(() => isAtEnd().catch(() => false), { timeoutMs, intervalMs: 500 }).then(
      () => true,
      () => false,
    );
  }

  /** What the topics hold now, for scenarios after which they hold less. */
  async readTruths(): Promise<TopicTruth[]> {
    const { brokers, topics } = this;
    return await readTruths({ brokers, topics, dataDirectory: this.#brokerDirectory }, this.#expected);
  }

  /** Waits until all is committed, then asks the oracle; what it finds makes the scenario fail. */
  async verify(options: VerifyOptions = {}): Promise<void> {
    this.#progress('waiting until all is committed');
    if (!(await this.settle(options.settleMs))) {
      const tails = this.members.map(({ name, state, printedTail }) => `${name} (${state}): ${printedTail}`);
      this.#progress(`not settled; ${tails.join('\n')}`);
    }
    this.#progress('asking the oracle');
    const member = options.member ?? this.members[0];
    const store = options.store ?? (await member?.embeddedStore());
    if (store === undefined) throw new Error('No ClickHouse can be reached for the oracle.');
    const verdict = await askOracle({
      brokers: this.brokers,
      group: this.group,
      topics: this.topics,
      store,
      expected: this.#expected,
      ledgerFiles: this.#loads.map((load) => load.ledgerFile),
      letterKeys: await readLetterKeys(this.members.map(({ dataDir }) => dataDir)),
      dataDirectory: this.#brokerDirectory,
      ...(options.fateOf !== undefined && { fateOf: options.fateOf }),
      ...(options.truths !== undefined && { truths: options.truths }),
    });
    this.recordCount += verdict.recordCount;
    this.findings.push(...verdict.findings.map(({ about, text }) => ({ by: about, text })));
  }

  /** Meanwhile `/readyz` said nothing but `ready`, and what the fault explains (`allowed`). */
  expectNoAlarm(
    member: Member,
    { sinceMs, untilMs, allowed = [] }: { sinceMs: number; untilMs?: number; allowed?: readonly string[] },
  ): void {
    const isUsual = (state: string): boolean =>
      state.split(',').every((reason) => reason === 'ready' || allowed.includes(reason));
    const alarms = member.statesSince(sinceMs, untilMs).filter((state) => !isUsual(state));
    this.expect(alarms.length === 0, `/readyz of ${member.name} said ${alarms.join(' · ')} without a cause`);
  }

  /**
   * Killed and started again at that time, the program was down, then said nothing but what a start has to wait for, and
   * once ready it stayed so.
   */
  expectPlainRestart(member: Member, sinceMs: number): void {
    this.expect(
      member.saidSince(sinceMs, 'down'),
      `/readyz of ${member.name} was answered although it was killed`,
    );
    this.expectNoAlarm(member, { sinceMs, allowed: OF_RESTART });
    const states = member.statesSince(sinceMs);
    const after = states.slice(states.lastIndexOf('down') + 1);
    const relapses = after.slice(after.indexOf('ready') + 1).filter((state) => !LATE.includes(state));
    this.expect(
      !after.includes('ready') || relapses.length === 0,
      `${member.name} was ready, then ${relapses.join(' · ')}`,
    );
  }

  /** The fault is over: `/readyz` must say so, and how soon is a figure of the report. */
  async expectReadyAgain(member: Member, timeoutMs = BACK_MS): Promise<void> {
    const overAt = Date.now();
    const isBack = await this.eventually(
      () => member.state === 'ready',
      `${member.name} is ready again`,
      timeoutMs,
    );
    if (isBack) this.figure('ready_again_ms', Date.now() - overAt);
  }

  /** After the fault and idle again: memory and open files no more than 15 % above what they were before it. */
  async verifyResources(member: Member, before: Resources): Promise<void> {
    let after = await member.resources();
    const isBack = (): boolean =>
      after.residentBytes <= before.residentBytes * (1 + TOLERANCE) &&
      after.openFiles <= before.openFiles * (1 + TOLERANCE) + FILE_TOLERANCE;
    for (const end = Date.now() + IDLE_MS; !isBack() && Date.now() < end; ) after = await member.resources();
    this.figure('memory_before_mib', before.residentBytes / MIB);
    this.figure('memory_after_mib', after.residentBytes / MIB);
    this.figure('files_before', before.openFiles);
    this.figure('files_after', after.openFiles);
    this.expect(
      isBack(),
      `resources of ${member.name} did not come back: ${JSON.stringify(before)} → ${JSON.stringify(after)}`,
    );
  }

  #progress(text: string): void {
    const seconds = ((Date.now() - this.#startedAt) / 1000).toFixed(1);
    this.#options.onProgress?.(`${seconds} s  ${text}`);
  }

  /** Ends everything, last made first. */
  async close(): Promise<void> {
    for (const close of this.#closers.toReversed()) await close().catch(() => undefined);
  }
}

async function embeddedServer(member: Member): Promise<Pick<TestClickHouse, 'freeze' | 'thaw'>> {
  const pid = await member.clickhousePid();
  return { freeze: () => process.kill(pid, 'SIGSTOP'), thaw: () => process.kill(pid, 'SIGCONT') };
}
