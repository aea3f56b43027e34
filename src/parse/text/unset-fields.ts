/**
 * Writes into an event row what was read from a message, and only where nothing was set before:
 * an address that came with the event beats one that was found in its text.
 * Empty values are left out.
 */
import { type EventRow, IpField, TextField, UintField } from '../../encode/event-row.ts';
import { Byte, isDigit, word } from './line.ts';

const SUCCESS = word('success');
const FAILURE = word('failure');
/** What sshd prints for a peer that is gone already. */
const UNKNOWN = word('UNKNOWN');
const MAX_PORT = 65_535;
/** Longest name that DNS allows. */
const MAX_DOMAIN_BYTES = 253;

export class UnsetFields {
  #row: EventRow;
  #bytes: Uint8Array;
  readonly #range = { start: 0, end: 0 };

  constructor(row: EventRow, bytes: Uint8Array) {
    this.#row = row;
    this.#bytes = bytes;
  }

  reset(row: EventRow, bytes: Uint8Array): void {
    this.#row = row;
    this.#bytes = bytes;
  }

  text(field: TextField, start: number, end: number): void {
    if (end > start && !this.#row.hasText(field)) this.#row.text(field, this.#bytes, this.#at(start, end));
  }

  uint(field: UintField, value: number): void {
    if (value > 0 && !this.#row.hasUint(field)) this.#row.uint(field, value);
  }

  user(start: number, end: number): void {
    this.text(TextField.user, start, end);
  }

  /** A name that is a constant of the program. */
  constantUser(name: Uint8Array): void {
    if (!this.#row.hasText(TextField.user)) this.#row.text(TextField.user, name, this.#at(0, name.length));
  }

  success(): void {
    this.#outcome(SUCCESS);
  }

  failure(): void {
    this.#outcome(FAILURE);
  }

  metadata(key: string, start: number, end: number): void {
    if (end > start) this.#row.metadata(key, this.#bytes, this.#at(start, end));
  }

  /**
   * The peer as programs print it: an address, an address with zone (`fe80::1%eth0`), or a name,
   * which goes to metadata `source.domain`. `UNKNOWN` and what can be neither are left out.
   */
  peer(start: number, end: number): void {
    if (end <= start || this.#row.hasIp(IpField.source)) return;
    if (this.#row.ip(IpField.source, this.#bytes, this.#at(start, end))) return;
    if (this.#isDomain(start, end)) {
      this.metadata('source.domain', start, end);
      return;
    }
    let zone = start;
    while (zone < end && this.#bytes[zone] !== Byte.percent) zone++;
    if (zone < end) this.#row.ip(IpField.source, this.#bytes, this.#at(start, zone));
  }

  /** A name beside an address that is known already. */
  domain(start: number, end: number): void {
    if (this.#isDomain(start, end)) this.metadata('source.domain', start, end);
  }

  port(value: number): void {
    if (value <= MAX_PORT) this.uint(UintField.sourcePort, value);
  }

  #outcome(value: Uint8Array): void {
    if (this.#row.hasText(TextField.outcome)) return;
    this.#row.text(TextField.outcome, value, this.#at(0, value.length));
  }

  #at(start: number, end: number): { start: number; end: number } {
    this.#range.start = start;
    this.#range.end = end;
    return this.#range;
  }

  /** Letters, digits, `-`, `_` and `.`, and at least one letter: no broken address, no free text. */
  #isDomain(start: number, end: number): boolean {
    const length = end - start;
    if (length === 0 || length > MAX_DOMAIN_BYTES) return false;
    let hasLetter = false;
    for (let i = start; i < end; i++) {
      const byte = this.#bytes[i] ?? 0;
      const lower = byte | 0x20;
      if (lower >= 0x61 && lower <= 0x7a) hasLetter = true;
      else if (!isDigit(byte) && byte !== Byte.dash && byte !== Byte.dot && byte !== Byte.underscore)
        return false;
    }
    return hasLetter && !(length === UNKNOWN.length && this.#isUnknown(start));
  }

  #isUnknown(start: number): boolean {
    return UNKNOWN.every((byte, i) => this.#bytes[start + i] === byte);
  }
}
