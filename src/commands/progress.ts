/**
 * Progress of long work on standard error: one line that is rewritten on a terminal, a plain line every few
 * seconds elsewhere. Says how much is done, how fast it goes and, where the end is known, what is left.
 */
import { formatCount } from './output.ts';

export interface ProgressOptions {
  /** What is counted, in the plural: "events". */
  readonly unit: string;
  /** Known amount of work in units. */
  readonly total?: number | undefined;
  readonly isSilent?: boolean;
  readonly format?: (amount: number) => string;
}

export interface Progress {
  add(amount: number): void;
  /** Stops the line; nothing is printed after. */
  finish(): void;
}

const TERMINAL_INTERVAL_MS = 200;
const PLAIN_INTERVAL_MS = 5000;

export interface ProgressState {
  readonly unit: string;
  readonly doneCount: number;
  readonly total?: number | undefined;
  /** Units per second over the last stretch. */
  readonly rate: number;
  readonly format?: ((amount: number) => string) | undefined;
}

/** `120,000 of 1,000,000 events, 98,500/s, 9 s left`. */
export function progressLine(state: ProgressState): string {
  const format = state.format ?? formatCount;
  const hasTotal = state.total !== undefined && state.total > 0;
  const done = hasTotal
    ? `${format(state.doneCount)} of ${format(state.total ?? 0)}`
    : format(state.doneCount);
  const unit = state.unit === '' ? '' : ` ${state.unit}`;
  const left = Math.max(0, (state.total ?? 0) - state.doneCount);
  const eta = hasTotal && state.rate > 0 ? `, ${formatDuration(left / state.rate)} left` : '';
  return `${done}${unit}, ${format(state.rate)}/s${eta}`;
}

export function formatDuration(seconds: number): string {
  if (seconds < 60) return `${Math.ceil(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.round((seconds % 3600) / 60)} min`;
}

export function formatBytes(bytes: number): string {
  if (bytes < 1024) return `${Math.round(bytes)} B`;
  const power = Math.min(3, Math.floor(Math.log2(bytes) / 10));
  return `${(bytes / 1024 ** power).toFixed(1)} ${['B', 'KiB', 'MiB', 'GiB'][power]}`;
}

export function startProgress(options: ProgressOptions): Progress {
  if (options.isSilent === true) return { add: () => {}, finish: () => {} };
  const stream = process.stderr;
  const isTerminal = stream.isTTY;
  let doneCount = 0;
  let lastCount = 0;
  let lastMs = Date.now();
  let rate = 0;
  const draw = (): void => {
    const nowMs = Date.now();
    const stretch = ((doneCount - lastCount) * 1000) / Math.max(1, nowMs - lastMs);
    // Smoothed on a terminal, where a stretch is short.
    rate = rate === 0 || !isTerminal ? stretch : rate * 0.8 + stretch * 0.2;
    lastCount = doneCount;
    lastMs = nowMs;
    const line = progressLine({ ...options, doneCount, rate });
    stream.write(isTerminal ? `\r\u001B[2K${line}` : `${line}\n`);
  };
  const timer = setInterval(draw, isTerminal ? TERMINAL_INTERVAL_MS : PLAIN_INTERVAL_MS);
  timer.unref();
  return {
    add(amount) {
      doneCount += amount;
    },
    finish() {
      clearInterval(timer);
      if (isTerminal) stream.write('\r\u001B[2K');
    },
  };
}
