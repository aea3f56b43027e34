/** One text line through the real parser, as the recorded event: what the tables of the text parser's tests compare. */
import { parseText } from '../../src/parse/text/parse-text.ts';
import { type RecordedEvent, RecordingRow } from './recording-row.ts';

/** 2026-11-21T12:00:00Z, later than all times in the tables of 2026. */
export const RECORD_TIME_US = Date.UTC(2026, 10, 21, 12) * 1000;

const PADDING = 7;

/** Parses `text` from the middle of a larger buffer, so that a read past the record's bounds shows. */
export function eventOf(text: string | Uint8Array, recordTimeUs = RECORD_TIME_US): RecordedEvent {
  const row = new RecordingRow(recordTimeUs);
  const outcome = parseInto(row, text);
  if (outcome !== 'event') throw new Error(`outcome ${outcome}`);
  return row.event;
}

/** Those fields of `event` that `expected` names. */
export function fieldsOf(event: RecordedEvent, expected: object): Record<string, unknown> {
  return Object.fromEntries(Object.keys(expected).map((key) => [key, event[key]]));
}

export function parseInto(row: RecordingRow, text: string | Uint8Array): string {
  const record = Buffer.from(text);
  const bytes = Buffer.concat([Buffer.alloc(PADDING, '9'), record, Buffer.alloc(PADDING, '9')]);
  return parseText(bytes, PADDING, PADDING + record.length, row);
}
