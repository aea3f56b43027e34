/**
 * Level names and numbers of many loggers → OpenTelemetry severity numbers 1–24.
 * The mapping follows OpenTelemetry's logs data model, appendix B: its syslog table for syslog's keywords
 * (crit 18, alert 19, emerg 21), its .NET table for `critical` (21).
 */
import { focus, hashBytes } from '../encode/bytes.ts';
import type { ByteRange } from '../encode/event-row.ts';

const NUMBER_BY_NAME: Readonly<Record<string, number>> = {
  trace: 1,
  trc: 1,
  verbose: 1,
  finest: 1,
  debug: 5,
  dbg: 5,
  fine: 5,
  info: 9,
  inf: 9,
  information: 9,
  informational: 9,
  notice: 10,
  warn: 13,
  wrn: 13,
  warning: 13,
  err: 17,
  error: 17,
  severe: 17,
  crit: 18,
  alert: 19,
  critical: 21,
  fatal: 21,
  ftl: 21,
  panic: 21,
  emerg: 21,
  emergency: 21,
};

const RANGES = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const;

/** Names of column `level`, by index; 0 is none. */
export const LEVEL_NAMES: readonly Uint8Array[] = ['', ...RANGES].map((name) =>
  new TextEncoder().encode(name.toUpperCase()),
);

/** Index into LEVEL_NAMES of a severity number: four numbers a level; 0 for a number out of range. */
export function levelIndexOf(severityNumber: number): number {
  return severityNumber >= 1 && severityNumber <= 24 ? (severityNumber + 3) >> 2 : 0;
}

interface NameSlot {
  readonly name: Uint8Array;
  readonly severity: number;
}

const MAX_NAME_BYTES = 13;
const SLOT_MASK = 255;
const folded = new Uint8Array(MAX_NAME_BYTES);
const slots: (NameSlot | undefined)[] = buildSlots();

/** Names of the table and OpenTelemetry's short names (INFO2 … FATAL4), lower case, by hash. */
function buildSlots(): (NameSlot | undefined)[] {
  const table: (NameSlot | undefined)[] = Array.from({ length: SLOT_MASK + 1 }, () => undefined);
  const names = new Map(Object.entries(NUMBER_BY_NAME));
  for (const [range, name] of RANGES.entries()) {
    for (let step = 1; step <= 4; step += 1) names.set(`${name}${step}`, range * 4 + step);
  }
  for (const [name, severity] of names) {
    const bytes = new TextEncoder().encode(name);
    let slot = hashBytes(bytes, 0, bytes.length) & SLOT_MASK;
    while (table[slot] !== undefined) slot = (slot + 1) & SLOT_MASK;
    table[slot] = { name: bytes, severity };
  }
  return table;
}

/** Severity number of a level's name in any case, 0 when it is not known. Digits are not names. */
export function severityOfName(source: Uint8Array, range: ByteRange): number {
  const length = range.end - range.start;
  if (source === focus.source && (length === 4 || length === 5)) {
    const common = commonSeverity(range.start, length);
    if (common !== 0) return common;
  }
  if (length === 0 || length > MAX_NAME_BYTES) return 0;
  for (let at = 0; at < length; at += 1) {
    const byte = source[range.start + at] as number;
    folded[at] = byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte;
  }
  let slot = hashBytes(folded, 0, length) & SLOT_MASK;
  for (let entry = slots[slot]; entry !== undefined; entry = slots[slot]) {
    if (isFolded(entry.name, length)) return entry.severity;
    slot = (slot + 1) & SLOT_MASK;
  }
  return 0;
}

/** The usual names by their first word in lower case; only letters can become these letters. */
function commonSeverity(at: number, length: number): number {
  const word = focus.view.getInt32(at, true) | 0x20202020;
  if (length === 4) return word === INFO ? 9 : word === WARN ? 13 : 0;
  const last = (focus.source[at + 4] as number) | 0x20;
  if (word === ERRO) return last === 0x72 ? 17 : 0;
  return word === DEBU && last === 0x67 ? 5 : 0;
}

const INFO = 0x6f666e69;
const WARN = 0x6e726177;
const ERRO = 0x6f727265;
const DEBU = 0x75626564;

function isFolded(name: Uint8Array, length: number): boolean {
  if (name.length !== length) return false;
  for (let at = 0; at < length; at += 1) {
    if (name[at] !== folded[at]) return false;
  }
  return true;
}

const SYSLOG = [21, 19, 18, 17, 13, 10, 9, 5] as const;

/** Severity number of a syslog severity 0–7 (RFC 5424 section 6.2.1), 0 for any other number. */
export function severityOfSyslog(code: number): number {
  return SYSLOG[code] ?? 0;
}

const BUNYAN = [0, 1, 5, 9, 13, 17, 21] as const;

/**
 * Severity number of a numeric `level`: 0–7 as syslog (GELF, journald), 10–69 by tens as bunyan and pino.
 * 0 when it is neither.
 */
export function severityOfNumericLevel(level: number): number {
  if (level >= 0 && level <= 7) return severityOfSyslog(level);
  return level >= 10 && level < 70 ? (BUNYAN[Math.floor(level / 10)] ?? 0) : 0;
}
