/**
 * What commands print: results on standard output, everything else on standard error.
 * Colours only on a terminal and never with NO_COLOR (https://no-color.org).
 */
import { CommanderError } from 'commander';
import { ERROR_KINDS, toMillraceError } from '../errors.ts';

export const EXIT_DONE = 0;
export const EXIT_FAILED = 1;
const EXIT_USAGE = 2;

type OutputStream = NodeJS.WriteStream;

export function hasColours(stream: OutputStream): boolean {
  const isForbidden = (process.env['NO_COLOR'] ?? '') !== '' || process.env['TERM'] === 'dumb';
  return stream.isTTY && !isForbidden;
}

export function bold(text: string, stream: OutputStream): string {
  return hasColours(stream) ? `\u001B[1m${text}\u001B[22m` : text;
}

export function writeLine(line: string): void {
  process.stdout.write(`${line}\n`);
}

export function writeNote(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** A result: one JSON document with `--json`, else the text for people. */
export function writeResult(isJson: boolean, value: unknown, toText: () => string): void {
  writeLine(isJson ? JSON.stringify(value) : toText());
}

/** Says what went wrong in one sentence (problem+json of RFC 9457 with `--json`) and gives the exit code. */
export function reportError(error: unknown, argv: readonly string[]): number {
  if (error instanceof CommanderError) return reportUsage(error, argv);
  const known = toMillraceError(error);
  const isUsage = known.code === 'usage' || known.code === 'config_invalid';
  writeProblem(argv, { code: known.code, status: known.status, detail: known.message });
  if (isDebug(argv)) writeNote(String(known.cause instanceof Error ? known.cause.stack : known.stack));
  return isUsage ? EXIT_USAGE : EXIT_FAILED;
}

function reportUsage(error: CommanderError, argv: readonly string[]): number {
  if (error.exitCode === 0) return EXIT_DONE;
  if (error.code === 'commander.help') return EXIT_USAGE;
  const detail = error.message
    .replace(/^error: /, '')
    .replace(/\s*\n\s*/, ' ')
    .trim();
  writeProblem(argv, { code: 'usage', status: ERROR_KINDS.usage.status, detail });
  return EXIT_USAGE;
}

interface Problem {
  readonly code: keyof typeof ERROR_KINDS;
  readonly status: number;
  readonly detail: string;
}

function writeProblem(argv: readonly string[], problem: Problem): void {
  if (argv.includes('--json')) {
    const { title } = ERROR_KINDS[problem.code];
    writeNote(JSON.stringify({ type: 'about:blank', title, ...problem }));
    return;
  }
  writeNote(`millrace: ${problem.detail}`);
}

function isDebug(argv: readonly string[]): boolean {
  const index = argv.indexOf('--log-level');
  const level = index === -1 ? process.env['MILLRACE_LOG_LEVEL'] : argv[index + 1];
  return level === 'debug' || argv.includes('--log-level=debug');
}

const NUMBER_FORMAT = new Intl.NumberFormat('en-US');

export function formatCount(count: number): string {
  return NUMBER_FORMAT.format(Math.round(count));
}
