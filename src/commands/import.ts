/**
 * `millrace import FILE…`: posts files to the running program in chunks that end at records.
 */
import { createReadStream, statSync } from 'node:fs';
import { extname } from 'node:path';
import type { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { type Command, Option } from 'commander';
import { errorMessage, MillraceError, quoteValue } from '../errors.ts';
import {
  type ApiClient,
  addApiOptions,
  answerError,
  connectApi,
  readApiTarget,
  readField,
} from './api-client.ts';
import { createCutter, detectFormat, type ImportFormat, isDetectable } from './import-format.ts';
import { EXIT_FAILED, formatCount, writeNote, writeResult } from './output.ts';
import { formatBytes, type Progress, startProgress } from './progress.ts';
import { addSettingFlags, loadCommandConfig } from './setting-flags.ts';

/** Characters after which a chunk is sent; the API takes 10 MiB unless told otherwise. */
const CHUNK_CHARACTERS = 1_048_576;
/** Rejected records that are shown one by one. */
const MAX_SHOWN = 20;

interface Rejected {
  readonly file: string;
  readonly line: number;
  readonly code: string;
  readonly reason: string;
}

/** A file that ends too early. */
interface Incomplete {
  readonly file: string;
  readonly reason: string;
}

interface Tally {
  acceptedCount: number;
  rejectedCount: number;
  readonly rejected: Rejected[];
  readonly incomplete: Incomplete[];
}

interface ImportJob {
  readonly client: ApiClient;
  readonly format: ImportFormat | 'auto';
  readonly progress: Progress;
  readonly tally: Tally;
}

export function registerImport(program: Command): void {
  const command = program
    .command('import')
    .description('load files (NDJSON, JSON, text lines; .gz) into the running program')
    .argument('<file...>', 'files to load; - is standard input')
    .addOption(
      new Option('--format <format>', 'what the files hold')
        .choices(['auto', 'ndjson', 'json', 'text'])
        .default('auto'),
    )
    .option('--json', 'print JSON')
    .action((files: string[]) => runImport(command, files));
  addApiOptions(command, 'address of the API (that of the program running on DATA_DIR)');
  addSettingFlags(command, ['general']);
  command.addHelpText(
    'after',
    '\nEnds with 0 when records were stored, even if others were rejected (they are counted and listed); with 1\n' +
      'when all were rejected or a JSON array is cut short.',
  );
}

async function runImport(command: Command, files: readonly string[]): Promise<void> {
  const options = command.opts<Record<string, unknown>>();
  const config = loadCommandConfig(command);
  const readsStdin = files.includes('-');
  if (readsStdin && options['passwordFile'] === '-') {
    throw new MillraceError('usage', 'Standard input cannot hold both the data and the password.');
  }
  const sizes = files.map((file) => (file === '-' ? 0 : fileSize(file)));
  const client = await connectApi(readApiTarget(options, { dataDir: config.dataDir, role: 'writer' }));
  const progress = startProgress({
    unit: '',
    total: readsStdin ? undefined : sizes.reduce((sum, size) => sum + size, 0),
    format: formatBytes,
    isSilent: options['json'] === true,
  });
  const tally: Tally = { acceptedCount: 0, rejectedCount: 0, rejected: [], incomplete: [] };
  const format = options['format'] as ImportJob['format'];
  try {
    for (const file of files) await importFile(file, { client, format, progress, tally });
  } finally {
    progress.finish();
  }
  report(tally, options['json'] === true);
}

function fileSize(file: string): number {
  try {
    return statSync(file).size;
  } catch (error) {
    throw new MillraceError('usage', `Cannot read ${quoteValue(file)}: ${errorMessage(error)}.`);
  }
}

/** The file's bytes, unpacked; progress counts what was read from the disk. */
function openFile(file: string, progress: Progress): Readable {
  const raw: Readable = file === '-' ? process.stdin : createReadStream(file);
  const counted = raw.on('data', (chunk: Buffer | string) => progress.add(Buffer.byteLength(chunk)));
  if (extname(file).toLowerCase() !== '.gz') return counted;
  const gunzip = createGunzip();
  raw.on('error', (error) => gunzip.destroy(error));
  return raw.pipe(gunzip);
}

async function importFile(file: string, job: ImportJob): Promise<void> {
  const sender = new ChunkSender(file, job);
  const decoder = new TextDecoder();
  let format: ImportFormat | undefined = job.format === 'auto' ? undefined : job.format;
  let cutter = format === undefined ? undefined : createCutter(format);
  let beginning = '';
  const stream = openFile(file, job.progress);
  try {
    for await (const chunk of stream) {
      let text = decoder.decode(chunk as Uint8Array, { stream: true });
      if (cutter === undefined) {
        beginning += text;
        if (!isDetectable(beginning) && beginning.length < CHUNK_CHARACTERS) continue;
        text = beginning;
        format = detectFormat(text);
        cutter = createCutter(format);
      }
      await sender.send(cutter.push(text), format ?? 'text');
    }
  } catch (error) {
    if (error instanceof MillraceError) throw error;
    throw new MillraceError('usage', `Cannot read ${quoteValue(file)}: ${errorMessage(error)}.`, {
      cause: error,
    });
  }
  format ??= detectFormat(beginning);
  if (cutter === undefined) {
    cutter = createCutter(format);
    await sender.send(cutter.push(beginning), format);
  }
  await sender.send(cutter.push(decoder.decode()), format);
  await sender.send(cutter.end(), format);
  await sender.flush(format);
  if (cutter.problem !== undefined) job.tally.incomplete.push({ file, reason: cutter.problem });
}

/** Joins records into chunks and posts them one after the other. */
class ChunkSender {
  readonly #file: string;
  readonly #job: ImportJob;
  #lines: string[] = [];
  #characterCount = 0;
  #firstLine = 1;

  constructor(file: string, job: ImportJob) {
    this.#file = file;
    this.#job = job;
  }

  async send(lines: readonly string[], format: ImportFormat): Promise<void> {
    for (const line of lines) {
      this.#lines.push(line);
      this.#characterCount += line.length + 1;
      if (this.#characterCount >= CHUNK_CHARACTERS) await this.flush(format);
    }
  }

  async flush(format: ImportFormat): Promise<void> {
    if (this.#lines.length === 0) return;
    const body = `${this.#lines.join('\n')}\n`;
    const contentType = format === 'text' ? 'text/plain; charset=utf-8' : 'application/x-ndjson';
    const answer = body.trim() === '' ? undefined : await this.#job.client.post('/logs', body, contentType);
    if (answer !== undefined) this.#count(answer);
    this.#firstLine += this.#lines.length;
    this.#lines = [];
    this.#characterCount = 0;
  }

  #count(answer: { readonly status: number; readonly body: unknown }): void {
    const { tally } = this.#job;
    const accepted = readField(answer.body, 'accepted');
    const rejected = readField(answer.body, 'rejected');
    const isCounted = answer.status === 200 || answer.status === 202 || answer.status === 422;
    if (!isCounted) throw answerError(`import ${this.#file} from line ${this.#firstLine} on`, answer);
    const entries = Array.isArray(rejected) ? rejected : [];
    const rejectedCount = readField(answer.body, 'rejected_count');
    tally.acceptedCount += typeof accepted === 'number' ? accepted : 0;
    tally.rejectedCount += typeof rejectedCount === 'number' ? rejectedCount : entries.length;
    for (const entry of entries.slice(0, Math.max(0, MAX_SHOWN - tally.rejected.length))) {
      tally.rejected.push({
        file: this.#file,
        line: this.#firstLine + Number(readField(entry, 'line') ?? 1) - 1,
        code: String(readField(entry, 'code')),
        reason: String(readField(entry, 'reason')),
      });
    }
  }
}

function report(tally: Tally, isJson: boolean): void {
  const { acceptedCount, rejectedCount, rejected, incomplete } = tally;
  const isAllRejected = rejectedCount > 0 && acceptedCount === 0;
  if (isAllRejected || incomplete.length > 0) process.exitCode = EXIT_FAILED;
  const result = { accepted: acceptedCount, rejected: rejectedCount, first_rejected: rejected, incomplete };
  writeResult(isJson, result, () => {
    const refused = rejectedCount === 0 ? '' : `, ${formatCount(rejectedCount)} rejected`;
    return `${formatCount(acceptedCount)} records stored${refused}.`;
  });
  if (isJson) return;
  for (const { file, line, code, reason } of rejected) writeNote(`  ${file}:${line}: ${code}: ${reason}`);
  if (rejectedCount > rejected.length)
    writeNote(`  and ${formatCount(rejectedCount - rejected.length)} more`);
  for (const { file, reason } of incomplete) writeNote(`  ${file}: ${reason}`);
}
