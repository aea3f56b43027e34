/**
 * An EventRow that keeps what it is told as plain values, so that a parser's test can compare a whole event.
 * Follows the block builder: last text wins, first metadata value wins, empty text is unset.
 */
import { type ByteRange, type EventRow, IpField, TextField, UintField } from '../../src/encode/event-row.ts';
import { parseIp } from '../../src/parse/ip.ts';
import { isPlausibleTime } from '../../src/parse/time.ts';

export interface RecordedEvent {
  [field: string]: unknown;
  metadata?: Record<string, string>;
}

const TEXT_NAMES = namesOf(TextField);
const UINT_NAMES = namesOf(UintField);
const IP_NAMES = { [IpField.source]: 'sourceIp', [IpField.destination]: 'destinationIp' };

function namesOf(fields: Readonly<Record<string, number>>): string[] {
  const names: string[] = [];
  for (const [name, index] of Object.entries(fields)) names[index] = name;
  return names;
}

export class RecordingRow implements EventRow {
  recordTimeUs: number;
  event: RecordedEvent = {};
  /** Every value that was copied out of a parser's input, constants of the program included. */
  values: Buffer[] = [];
  readonly #address = new Uint8Array(16);
  #pendingKey = '';

  constructor(recordTimeUs: number) {
    this.recordTimeUs = recordTimeUs;
  }

  clear(): void {
    this.event = {};
    this.values = [];
  }

  text(field: TextField, source: Uint8Array, range: ByteRange): void {
    this.event[TEXT_NAMES[field]!] = this.#copy(source, range.start, range.end);
  }

  hasText(field: TextField): boolean {
    return Boolean(this.event[TEXT_NAMES[field]!]);
  }

  ip(field: IpField, source: Uint8Array, range: ByteRange): boolean {
    if (!parseIp(source, range, this.#address)) return false;
    this.event[IP_NAMES[field]] = this.#copy(source, range.start, range.end);
    return true;
  }

  hasIp(field: IpField): boolean {
    return IP_NAMES[field] in this.event;
  }

  uint(field: UintField, value: number): void {
    this.event[UINT_NAMES[field]!] = value;
  }

  hasUint(field: UintField): boolean {
    return Boolean(this.event[UINT_NAMES[field]!]);
  }

  timestamp(microseconds: number): void {
    if (!isPlausibleTime(microseconds, this.recordTimeUs)) {
      this.timeUnreadable();
      return;
    }
    this.event['timestamp'] = microseconds;
  }

  timeUnreadable(): void {
    this.event['isTimeReplaced'] = true;
  }

  severity(number: number): void {
    this.event['severity'] = number;
  }

  metadata(key: string, source: Uint8Array, range: ByteRange): void {
    const entries = (this.event.metadata ??= {});
    if (!Object.hasOwn(entries, key)) entries[key] = this.#copy(source, range.start, range.end);
  }

  metadataKey(source: Uint8Array, start: number, end: number): boolean {
    this.#pendingKey = this.#copy(source, start, end);
    return !Object.hasOwn(this.event.metadata ?? {}, this.#pendingKey);
  }

  metadataValue(source: Uint8Array, start: number, end: number): void {
    const value = this.#copy(source, start, end);
    Object.defineProperty((this.event.metadata ??= {}), this.#pendingKey, {
      value,
      enumerable: true,
      configurable: true,
    });
  }

  textRepaired(): void {
    this.event['isTextRepaired'] = true;
  }

  #copy(source: Uint8Array, start: number, end: number): string {
    if (!(start >= 0 && start <= end && end <= source.length)) {
      throw new RangeError(`range ${start}–${end} of ${source.length} bytes`);
    }
    const bytes = Buffer.from(source.subarray(start, end));
    this.values.push(bytes);
    return bytes.toString();
  }
}
