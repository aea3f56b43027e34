/**
 * Log lines on standard error through pino: JSON for machines, coloured text on a terminal.
 * Warnings and errors that repeat are thinned out; what was left out is counted and said.
 * Fields that look like secrets, and passwords inside URLs, never reach the stream.
 */
import { type DestinationStream, destination, type Logger, pino } from 'pino';
import { prettyFactory } from 'pino-pretty';
import { REDACTED } from './secret.ts';
import type { TelemetryFields, TelemetryLevel } from './telemetry.ts';

export interface LoggerOptions {
  readonly level: TelemetryLevel | 'silent';
  /** Text for people instead of JSON. */
  readonly isPretty: boolean;
  readonly hasColours?: boolean;
  /** Where lines go; default standard error. */
  readonly stream?: DestinationStream;
  /** Milliseconds; handed in by tests. */
  readonly now?: () => number;
}

export interface EventLogger {
  /** `event` is the key by which repetition is counted. */
  log(level: TelemetryLevel, event: string, line: LogLine): void;
  /** Says what was left out so far. */
  flush(): void;
}

interface LogLine {
  readonly text: string;
  readonly fields?: TelemetryFields;
}

/** Lines of one event that are let through per window; the rest are counted. */
const LINES_PER_WINDOW = 5;
const WINDOW_MS = 10_000;

interface Window {
  readonly level: TelemetryLevel;
  readonly text: string;
  startMs: number;
  lineCount: number;
  suppressedCount: number;
}

export function createEventLogger(options: LoggerOptions): EventLogger {
  const logger = createPino(options);
  const now = options.now ?? Date.now;
  const windows = new Map<string, Window>();

  const closeWindow = (event: string, window: Window): void => {
    if (window.suppressedCount > 0) {
      logger[window.level]({ event, suppressed: window.suppressedCount }, `${window.text} (repeated)`);
    }
    windows.delete(event);
  };

  /** Whether a line of this event may be written now. */
  const isWithinLimit = (level: TelemetryLevel, event: string, text: string): boolean => {
    const known = windows.get(event);
    if (known !== undefined && now() - known.startMs >= WINDOW_MS) closeWindow(event, known);
    const window = windows.get(event) ?? {
      level,
      text,
      startMs: now(),
      lineCount: 0,
      suppressedCount: 0,
    };
    windows.set(event, window);
    if (window.lineCount >= LINES_PER_WINDOW) {
      window.suppressedCount += 1;
      return false;
    }
    window.lineCount += 1;
    return true;
  };

  return {
    log(level, event, line) {
      if (!logger.isLevelEnabled(level)) return;
      const isThinned = level === 'warn' || level === 'error';
      if (isThinned && !isWithinLimit(level, event, line.text)) return;
      logger[level]({ event, ...redactFields(line.fields ?? {}) }, line.text);
    },
    flush() {
      for (const [event, window] of windows) closeWindow(event, window);
    },
  };
}

function createPino(options: LoggerOptions): Logger {
  const stream = options.stream ?? destination({ fd: 2, sync: true });
  const formatters = { level: (label: string) => ({ level: label }) };
  const base = { level: options.level, base: null, timestamp: pino.stdTimeFunctions.isoTime };
  if (!options.isPretty) return pino({ ...base, formatters }, stream);
  // Used as a function: its own stream would write later and from another place than pino's.
  const prettify = prettyFactory({
    colorize: options.hasColours ?? false,
    translateTime: 'SYS:HH:MM:ss.l',
    ignore: 'event',
    singleLine: true,
  });
  return pino(base, { write: (line) => stream.write(prettify(line) ?? line) });
}

const SECRET_NAME = /password|passwd|secret|token|authorization|cookie|api_?key/i;
const URL_PASSWORD = /(:\/\/[^\s:/@]*):[^\s/@]*@/g;

function redactFields(fields: TelemetryFields): TelemetryFields {
  const redacted: Record<string, string | number | boolean> = {};
  for (const [name, value] of Object.entries(fields)) {
    if (typeof value !== 'string') redacted[name] = value;
    else
      redacted[name] = SECRET_NAME.test(name) ? REDACTED : value.replaceAll(URL_PASSWORD, `$1:${REDACTED}@`);
  }
  return redacted;
}
