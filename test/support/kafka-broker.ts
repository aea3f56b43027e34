/**
 * A real Apache Kafka broker for tests: one KRaft node on free loopback ports, small heap, data in a
 * temporary directory that goes with it. It can be killed and started again on the same ports and data.
 * On Linux the system kills it when the process that started it dies.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { access, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { javaCommand, kafkaClassPath } from './kafka-jars.ts';

const run = promisify(execFile);

const MAX_MESSAGE_BYTES = 64 << 20;
const START_TIMEOUT_MS = 90_000;

export interface BrokerOptions {
  readonly heapMb?: number;
  /** A second address of the broker: clients that come by `linkTargetPort` are told to come back by this port. */
  readonly linkPort?: number;
  /** Lines added to server.properties; they win over the defaults. */
  readonly properties?: Readonly<Record<string, string>>;
}

export interface TestBroker {
  /** `host:port`, the same after a restart. */
  readonly brokers: string;
  /** Where the broker keeps its topics: `<dataDirectory>/<topic>-<partition>/`. */
  readonly dataDirectory: string;
  /** Process id of the running broker; 0 when it is down. */
  readonly pid: number;
  /** Where what listens on `linkPort` must lead to; 0 without one. */
  readonly linkTargetPort: number;
  /** Ends the broker and removes its data. */
  stop(): Promise<void>;
  /** SIGKILL; the data stay. */
  kill(): Promise<void>;
  /** SIGSTOP and SIGCONT. */
  freeze(): void;
  thaw(): void;
  /** Ends the broker in order; the data stay. */
  shutdown(): Promise<void>;
  /** Ends the broker in order if it runs, and starts it on the same ports and data. */
  restart(): Promise<void>;
}

interface Ports {
  readonly client: number;
  readonly controller: number;
  readonly linkTarget: number;
}

/** Starts a broker and resolves when it accepts connections. Throws with the end of its log when it does not. */
export async function startBroker(options: BrokerOptions = {}): Promise<TestBroker> {
  const classPath = await kafkaClassPath();
  const directory = await mkdtemp(join(tmpdir(), 'millrace-kafka-'));
  const process_ = new BrokerProcess(directory, classPath, options);
  try {
    await process_.format();
    await process_.start();
  } catch (error) {
    await process_.stop();
    throw error;
  }
  return process_;
}

class BrokerProcess implements TestBroker {
  readonly #directory: string;
  readonly #classPath: string;
  readonly #options: BrokerOptions;
  readonly #killOnExit = (): void => {
    this.#child?.kill('SIGKILL');
  };
  #ports: Ports = { client: 0, controller: 0, linkTarget: 0 };
  #child: ChildProcess | undefined;

  constructor(directory: string, classPath: string, options: BrokerOptions) {
    this.#directory = directory;
    this.#classPath = classPath;
    this.#options = options;
    process.once('exit', this.#killOnExit);
  }

  get brokers(): string {
    return `127.0.0.1:${this.#ports.client}`;
  }

  get dataDirectory(): string {
    return join(this.#directory, 'data');
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  get linkTargetPort(): number {
    return this.#ports.linkTarget;
  }

  async format(): Promise<void> {
    const linkTarget = this.#options.linkPort === undefined ? 0 : await freePort();
    this.#ports = { client: await freePort(), controller: await freePort(), linkTarget };
    const file = join(this.#directory, 'server.properties');
    await writeFile(file, serverProperties(this.#directory, this.#ports, this.#options));
    const id = 'millrace-test-cluster0';
    const args = ['format', '--standalone', '-t', id, '-c', file];
    await run(javaCommand(), [...javaFlags(64), '-cp', this.#classPath, 'kafka.tools.StorageTool', ...args]);
  }

  async start(): Promise<void> {
    const flags = javaFlags(this.#options.heapMb ?? 320);
    const file = join(this.#directory, 'server.properties');
    const java = [javaCommand(), ...flags, '-cp', this.#classPath, 'kafka.Kafka', file];
    const [command, args] = await diesWithParent(java);
    const child = spawn(command, args, { cwd: this.#directory, stdio: ['ignore', 'pipe', 'pipe'] });
    const log = createWriteStream(join(this.#directory, 'broker.log'), { flags: 'a' });
    child.stdout.pipe(log, { end: false });
    child.stderr.pipe(log, { end: false });
    child.once('close', () => {
      log.end();
    });
    this.#child = child;
    const deadline = Date.now() + START_TIMEOUT_MS;
    while (!(await accepts(this.#ports.client))) {
      if (child.exitCode !== null || child.signalCode !== null || Date.now() > deadline) {
        throw new Error(`Kafka did not start; the end of its log: ${await this.#logTail()}`);
      }
      await sleep(50);
    }
  }

  async stop(): Promise<void> {
    process.removeListener('exit', this.#killOnExit);
    // Nothing of a broker that goes for ever is worth an orderly shutdown.
    await this.kill();
    await rm(this.#directory, { recursive: true, force: true });
  }

  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  freeze(): void {
    this.#child?.kill('SIGSTOP');
  }

  thaw(): void {
    this.#child?.kill('SIGCONT');
  }

  async shutdown(): Promise<void> {
    await this.#end('SIGTERM');
  }

  async restart(): Promise<void> {
    await this.shutdown();
    await this.start();
  }

  async #end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    child.kill(signal);
    const timer = setTimeout(() => child.kill('SIGKILL'), 20_000);
    await once(child, 'exit');
    clearTimeout(timer);
  }

  async #logTail(): Promise<string> {
    const text = await readFile(join(this.#directory, 'broker.log'), 'utf8').catch(() => '(no log)');
    return text.slice(-3000);
  }
}

function javaFlags(heapMb: number): string[] {
  const log = '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn';
  return [
    `-Xmx${heapMb}m`,
    '-XX:+UseSerialGC',
    '-XX:MaxDirectMemorySize=512m',
    '-Djava.awt.headless=true',
    log,
  ];
}

function serverProperties(directory: string, ports: Ports, options: BrokerOptions): string {
  const { linkPort } = options;
  const address = (name: string, port: number): string => `${name}://127.0.0.1:${port}`;
  const own = [address('PLAINTEXT', ports.client), address('CONTROLLER', ports.controller)];
  const link = (port: number): string[] => (linkPort === undefined ? [] : [address('LINK', port)]);
  const properties: Record<string, string | number> = {
    'process.roles': 'broker,controller',
    'node.id': 1,
    'controller.quorum.bootstrap.servers': `127.0.0.1:${ports.controller}`,
    'controller.listener.names': 'CONTROLLER',
    listeners: [...own, ...link(ports.linkTarget)].join(','),
    'advertised.listeners': [...own, ...link(linkPort ?? 0)].join(','),
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,LINK:PLAINTEXT',
    'log.dirs': join(directory, 'data'),
    'num.partitions': 6,
    'auto.create.topics.enable': 'false',
    'message.max.bytes': MAX_MESSAGE_BYTES,
    'replica.fetch.max.bytes': MAX_MESSAGE_BYTES,
    'socket.request.max.bytes': 2 * MAX_MESSAGE_BYTES,
    'group.initial.rebalance.delay.ms': 0,
    'group.min.session.timeout.ms': 1000,
    // A killed broker may come back only when its old registration has run out (9 s by default).
    'broker.session.timeout.ms': 2000,
    'broker.heartbeat.interval.ms': 500,
    'offsets.topic.replication.factor': 1,
    'offsets.topic.num.partitions': 4,
    'transaction.state.log.replication.factor': 1,
    'transaction.state.log.min.isr': 1,
    'transaction.state.log.num.partitions': 2,
    'log.cleaner.dedupe.buffer.size': 2 << 20,
    'num.network.threads': 2,
    'num.io.threads': 4,
    'background.threads': 2,
    ...options.properties,
  };
  return Object.entries(properties)
    .map(([key, value]) => `${key}=${value}\n`)
    .join('');
}

/** The command line that has the system kill the process with its parent, where util-linux offers it. */
async function diesWithParent(command: readonly string[]): Promise<[string, string[]]> {
  const [first = '', ...rest] = command;
  const setpriv = '/usr/bin/setpriv';
  const isThere = await access(setpriv).then(
    () => true,
    () => false,
  );
  return isThere ? [setpriv, ['--pdeathsig', 'KILL', ...command]] : [first, rest];
}

async function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => {
      resolve(false);
    });
  });
}

/** A loopback port that nobody listens on. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('No free loopback port');
  return address.port;
}
