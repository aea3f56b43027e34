/**
 * `millrace consume`: a Kafka topic into a file of newline-delimited JSON.
 */
import { once, setMaxListeners } from 'node:events';
import { accessSync, constants, createWriteStream, existsSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
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
    .description(
      'write the records of a Kafka topic to a file, one JSON object per line; without --from-beginning only new ones',
    )
    .option('--topic <name>', 'topic to read', 'logs')
    .option('--output <path>', 'file to write, replaced if it exists; - is standard output', '-')
    .option('--from-beginning', 'read what is there and end (without: only records that come from now on)')
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
  if (options.output !== '-') checkWritable(options.output);
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
  let isDone = false;
  try {
    const reader = { ...connection, topic: options.topic, from, isFollowing, signal } as const;
    ({ unreadableCount } = await readTopic(reader, (records) => writer.write(records), telemetry));
    isDone = true;
  } finally {
    stop.release();
    progress.finish();
    await writer.close(isDone);
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
  readonly #path: string;
  readonly #isStdout: boolean;
  readonly #limit: number;
  readonly #progress: Progress;
  readonly #full = new AbortController();
  #stream: NodeJS.WritableStream | undefined;
  #failure: Error | undefined;

  constructor(path: string, limit: number | undefined, progress: Progress) {
    this.#path = path;
    this.#isStdout = path === '-';
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
    if (lines.length > 0) {
      const stream = this.#open();
      if (!stream.write(`${lines.join('\n')}\n`)) await once(stream, 'drain');
    }
    this.#progress.add(lines.length);
    if (this.lineCount >= this.#limit) this.#full.abort();
  }

  /** `isDone`: reading came to its end, so that a file without a record is what was asked for. */
  async close(isDone: boolean): Promise<void> {
    const stream = isDone ? this.#open() : this.#stream;
    if (stream !== undefined && !this.#isStdout && this.#failure === undefined) {
      stream.end();
      await finished(stream).catch(() => {});
    }
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** At the first record, not before: a topic that cannot be read must leave the file as it is. */
  #open(): NodeJS.WritableStream {
    if (this.#stream !== undefined) return this.#stream;
    const stream = this.#isStdout ? process.stdout : createWriteStream(this.#path);
    stream.on('error', (error: Error) => {
      this.#failure = cannotWrite(this.#path, error);
      this.#full.abort();
    });
    this.#stream = stream;
    return stream;
  }
}

/** Tells at once what opening the file would tell at the first record. */
function checkWritable(path: string): void {
  try {
    const isThere = existsSync(path);
    if (isThere && statSync(path).isDirectory()) throw new Error('it is a directory');
    accessSync(isThere ? path : dirname(path), constants.W_OK);
  } catch (error) {
    throw cannotWrite(path, error);
  }
}

function cannotWrite(path: string, error: unknown): MillraceError {
  return new MillraceError('usage', `Cannot write ${quoteValue(path)}: ${errorMessage(error)}.`);
}
