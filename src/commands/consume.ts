/**
 * `millrace consume`: a Kafka topic into a file of newline-delimited JSON.
 */
import { once, setMaxListeners } from 'node:events';
import { createWriteStream } from 'node:fs';
import { finished } from 'node:stream/promises';
import { type Command, Option } from 'commander';
import type { ReadRecord } from '../bus/kafka-reader.ts';
import { errorMessage, MillraceError, quoteValue } from '../errors.ts';
import { createCommandTelemetry } from './command-telemetry.ts';
import { kafkaConnection } from './kafka-connection.ts';
import { formatCount, writeNote } from './output.ts';
import { type Progress, startProgress } from './progress.ts';
import { toJsonLine } from './record-line.ts';
import { addSettingAlias, addSettingFlags, loadCommandConfig } from './setting-flags.ts';
import { listenForStop } from './stop-signal.ts';

interface ConsumeOptions {
  readonly topic: string;
  readonly output: string;
  readonly fromBeginning?: boolean;
  readonly follow?: boolean;
  readonly count?: string;
  readonly json?: boolean;
}

export function registerConsume(program: Command): void {
  const command = program
    .command('consume')
    .description('write the records of a Kafka topic to a file, one JSON object per line')
    .option('--topic <name>', 'topic to read', 'logs')
    .option('--output <path>', 'file to write, replaced if it exists; - is standard output', '-')
    .option('--from-beginning', 'read what is there and end (without: wait for new records)')
    .option('--follow', 'with --from-beginning: go on with new records')
    .option('--count <number>', 'end after this many records')
    .option('--json', 'print the summary as JSON')
    .action((options: ConsumeOptions) => consume(command, options));
  addSettingFlags(command, ['general', 'kafka']);
  addSettingAlias(command, 'KAFKA_BROKERS', new Option('--brokers <a,b,…>', 'the same as --kafka-brokers'));
}

async function consume(command: Command, options: ConsumeOptions): Promise<void> {
  const limit = readCount(options.count);
  const config = loadCommandConfig(command);
  const connection = kafkaConnection(config, 'millrace-consume');
  const telemetry = createCommandTelemetry(config);
  const { readTopic } = await import('../bus/kafka-reader.ts');
  const stop = listenForStop();
  const isFollowing = options.fromBeginning !== true || options.follow === true;
  if (options.fromBeginning !== true) writeNote(`Waiting for new records of ${options.topic}; Ctrl-C ends.`);
  const isSilent = options.json === true || (options.output === '-' && process.stdout.isTTY);
  const progress = startProgress({ unit: 'records', total: limit, isSilent });
  const writer = new LineWriter(options.output, limit, progress);
  const signal = AbortSignal.any([stop.signal, writer.full]);
  // The reader waits on it many times over.
  setMaxListeners(0, signal);
  const from = options.fromBeginning === true ? 'beginning' : 'end';
  let unreadableCount = 0;
  try {
    const reader = { ...connection, topic: options.topic, from, isFollowing, signal } as const;
    ({ unreadableCount } = await readTopic(reader, (records) => writer.write(records), telemetry));
  } finally {
    stop.release();
    progress.finish();
    await writer.close();
  }
  report(options, writer, unreadableCount);
}

function readCount(raw: string | undefined): number | undefined {
  if (raw === undefined) return undefined;
  if (/^[1-9]\d{0,14}$/.test(raw)) return Number(raw);
  throw new MillraceError('usage', `--count must be a whole number above 0, not ${quoteValue(raw)}.`);
}

function report(options: ConsumeOptions, writer: LineWriter, unreadableCount: number): void {
  const { lineCount, emptyCount } = writer;
  const summary = {
    topic: options.topic,
    output: options.output,
    records: lineCount,
    empty: emptyCount,
    unreadable: unreadableCount,
  };
  const trouble = unreadableCount === 0 ? '' : `, ${formatCount(unreadableCount)} could not be decoded`;
  const text = `${formatCount(lineCount)} records of ${options.topic} written to ${options.output}${trouble}.`;
  // Standard output may hold the records: the summary goes beside it.
  writeNote(options.json === true ? JSON.stringify(summary) : text);
}

/** Writes one line per record until the limit; a full stream slows the reader. */
class LineWriter {
  lineCount = 0;
  /** Records without a value. */
  emptyCount = 0;
  readonly #stream: NodeJS.WritableStream;
  readonly #isStdout: boolean;
  readonly #limit: number;
  readonly #progress: Progress;
  readonly #full = new AbortController();
  #failure: Error | undefined;

  constructor(path: string, limit: number | undefined, progress: Progress) {
    this.#isStdout = path === '-';
    this.#stream = this.#isStdout ? process.stdout : createWriteStream(path);
    this.#stream.on('error', (error: Error) => {
      this.#failure = new MillraceError('usage', `Cannot write ${quoteValue(path)}: ${errorMessage(error)}.`);
      this.#full.abort();
    });
    this.#limit = limit ?? Infinity;
    this.#progress = progress;
  }

  /** Aborted when the limit is reached or nothing can be written any more. */
  get full(): AbortSignal {
    return this.#full.signal;
  }

  async write(records: readonly ReadRecord[]): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    const lines: string[] = [];
    for (const { value } of records) {
      if (this.lineCount >= this.#limit) break;
      if (value === null) {
        this.emptyCount += 1;
        continue;
      }
      lines.push(toJsonLine(value));
      this.lineCount += 1;
    }
    if (lines.length > 0 && !this.#stream.write(`${lines.join('\n')}\n`)) await once(this.#stream, 'drain');
    this.#progress.add(lines.length);
    if (this.lineCount >= this.#limit) this.#full.abort();
  }

  async close(): Promise<void> {
    if (!this.#isStdout && this.#failure === undefined) {
      this.#stream.end();
      await finished(this.#stream).catch(() => {});
    }
    if (this.#failure !== undefined) throw this.#failure;
  }
}
