/**
 * JSON text → the event it becomes, read back from the block: what is set, by column, and nothing else.
 */
import { EventBlock } from '../../src/encode/event-block.ts';
import { FieldWriter } from '../../src/parse/json/field-writer.ts';
import { JsonParser } from '../../src/parse/json/parse-json.ts';
import { SlowParser } from '../../src/parse/json/slow.ts';
import type { ParseOutcome } from '../../src/parse/parse-outcome.ts';
import { readNative } from './native-reader.ts';

export const RECORD_TIME_US = Date.UTC(2024, 4, 1, 12, 0, 0) * 1000;
const SCOPE = { source: 1, partition: 2, retentionDays: 30, retentionClass: 0 };

const NEVER_SHOWN = new Set(['source', 'partition', 'offset', 'ingested_at', 'retention_days']);

export type Event = Record<string, unknown>;

/** The columns of a row that differ from their default; metadata as an object, times as ISO text. */
function shownRow(row: Record<string, unknown>): Event {
  const shown: Event = {};
  for (const [name, value] of Object.entries(row)) {
    if (NEVER_SHOWN.has(name) || isDefault(value)) continue;
    shown[name] = name === 'metadata' ? sortedEntries(value as [string, string][]) : value;
  }
  shown['timestamp'] = isoTime(row['timestamp'] as bigint);
  return shown;
}

function isDefault(value: unknown): boolean {
  if (Array.isArray(value)) return value.length === 0;
  return value === '' || value === 0 || value === 0n || value === null || value === '0'.repeat(32);
}

/** Pairs in the order of their keys; kept as pairs so that a repeated key would show. */
function sortedEntries(entries: [string, string][]): [string, string][] {
  return entries.toSorted(([left], [right]) => (left < right ? -1 : left > right ? 1 : 0));
}

function isoTime(microseconds: bigint): string {
  const date = new Date(Number(microseconds / 1000n)).toISOString();
  return `${date.slice(0, -1)}${String(microseconds % 1000n).padStart(3, '0')}Z`;
}

export interface Parsed {
  readonly outcome: ParseOutcome;
  readonly event: Event | undefined;
  readonly detail: string;
  /** The slow path was taken. */
  readonly isSlow: boolean;
}

export interface ParseOptions {
  readonly recordTimeUs?: number;
  /** Leave the fast path out. */
  readonly isSlowOnly?: boolean;
  /** Bytes of the next record. */
  readonly suffix?: string;
}

export interface ParsedBatch {
  readonly outcomes: readonly ParseOutcome[];
  /** The events among them, in order. */
  readonly events: readonly Event[];
  readonly slowCount: number;
}

/** Parses through one long-lived block, with bytes of other records before and after, as in a batch. */
export class JsonHarness {
  readonly #block = new EventBlock();
  readonly #parser = new JsonParser(this.#block);
  readonly #slow = new SlowParser(this.#block, new FieldWriter(this.#block));

  parse(record: string | Uint8Array, options: ParseOptions = {}): Parsed {
    const bytes = typeof record === 'string' ? Buffer.from(record) : record;
    const suffix = Buffer.from(options.suffix ?? '"x":1}');
    const source = new Uint8Array(new SharedArrayBuffer(12 + bytes.length + suffix.length));
    source.set(Buffer.from('{"before":1}'));
    source.set(bytes, 12);
    source.set(suffix, 12 + bytes.length);
    const range = { start: 12, end: 12 + bytes.length };
    this.#block.reset(SCOPE);
    this.#block.beginRow(7, options.recordTimeUs ?? RECORD_TIME_US);
    const slowBefore = this.#parser.slowPathCount;
    const parser = options.isSlowOnly === true ? this.#slow : this.#parser;
    const outcome = parser.parse(source, range);
    const isSlow = options.isSlowOnly === true || this.#parser.slowPathCount > slowBefore;
    if (outcome !== 'event') {
      this.#block.clearRow();
      return { outcome, event: undefined, detail: parser.failureDetail, isSlow };
    }
    this.#block.commitRow();
    const row = readNative(this.#block.finish().bytes).rows[0] ?? {};
    return { outcome, event: shownRow(row), detail: '', isSlow };
  }

  /** Parses records that stand one after the other in one buffer into one block. */
  parseBatch(records: readonly (string | Uint8Array)[], options: ParseOptions = {}): ParsedBatch {
    const parts = records.map((record) => (typeof record === 'string' ? Buffer.from(record) : record));
    const source = new Uint8Array(new SharedArrayBuffer(parts.reduce((sum, part) => sum + part.length, 0)));
    const parser = options.isSlowOnly === true ? this.#slow : this.#parser;
    const slowBefore = this.#parser.slowPathCount;
    const outcomes: ParseOutcome[] = [];
    const range = { start: 0, end: 0 };
    for (const part of parts) {
      source.set(part, range.end);
      range.end += part.length;
    }
    range.end = 0;
    this.#block.reset(SCOPE);
    for (const [offset, part] of parts.entries()) {
      range.start = range.end;
      range.end += part.length;
      this.#block.beginRow(offset, options.recordTimeUs ?? RECORD_TIME_US);
      const outcome = parser.parse(source, { ...range });
      outcomes.push(outcome);
      if (outcome === 'event') this.#block.commitRow();
      else this.#block.clearRow();
    }
    const events = readNative(this.#block.finish().bytes).rows.map(shownRow);
    return { outcomes, events, slowCount: this.#parser.slowPathCount - slowBefore };
  }
}
