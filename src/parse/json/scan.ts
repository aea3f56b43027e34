/**
 * The fast path: one walk over the bytes of a JSON object, every value set as it is met.
 * It takes what events usually look like and answers ODD for the rest (lone surrogates, repeated names,
 * wrong types, arrays of objects, anything malformed); the caller then clears the row and takes the slow path,
 * which must give the same event. Nothing is allocated. Bench: bench/parse-json.ts.
 */
import { focusOn } from '../../encode/bytes.ts';
import type { EventBlock } from '../../encode/event-block.ts';
import type { ByteRange, TextField } from '../../encode/event-row.ts';
import { ArrayScanner } from './array.ts';
import type { FieldWriter } from './field-writer.ts';
import { FIELDS, type Field, FieldKind } from './fields.ts';
import { type KeyEntry, type KeyNode, KeyTable } from './key-table.ts';
import { numberEnd } from './number.ts';
import { plainEnd, StringScanner } from './string.ts';
import { literalEnd, ODD, skipSpace } from './token.ts';

/** Objects nested deeper than this are odd. */
const MAX_DEPTH = 16;
const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const SPACE = 0x20;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const LOWER_N = 0x6e;
const LOWER_T = 0x74;
const LOWER_F = 0x66;

export class FastScanner {
  readonly #block: EventBlock;
  readonly #writer: FieldWriter;
  readonly #keys = new KeyTable();
  readonly #strings = new StringScanner();
  readonly #arrays: ArrayScanner;
  readonly #range: ByteRange = { start: 0, end: 0 };
  /** By field: serial of the record that set it last, one more when that came from `metadata`. */
  readonly #claims = new Float64Array(FIELDS.length);
  /** Even; goes up by two with each record. */
  #serial = 0;
  /** Bytes of the time that was read last. */
  #timeBytes = 0;
  #source: Uint8Array = new Uint8Array(0);
  #end = 0;

  constructor(block: EventBlock, writer: FieldWriter) {
    this.#block = block;
    this.#writer = writer;
    this.#arrays = new ArrayScanner(block, this.#strings);
  }

  /** Reads the object that fills `source[range)`, space around it allowed; false when it is odd. */
  scan(source: Uint8Array, range: ByteRange): boolean {
    const { start, end } = range;
    this.#source = source;
    focusOn(source);
    this.#end = end;
    this.#serial += 2;
    this.#writer.reset();
    this.#keys.makeRoom();
    const open = skipSpace(source, start, end);
    if (open >= end || source[open] !== OPEN_BRACE) return false;
    // Bytes past the end are another record's: a walk that went on into them did not close at the end.
    const close = this.#members(this.#keys.top, open + 1, 0);
    return close !== ODD && skipSpace(source, close, end) === end;
  }

  /** Reads members from `from` to the closing brace; position after it, or ODD. */
  #members(node: KeyNode, from: number, depth: number): number {
    const source = this.#source;
    const end = this.#end;
    let at = source[from] === QUOTE ? from : skipSpace(source, from, end);
    if (source[at] === CLOSE_BRACE) return at < end ? at + 1 : ODD;
    let entry = node.head;
    for (;;) {
      if (source[at] !== QUOTE) return ODD;
      if (this.#keys.matches(entry.next, at + 1, end)) {
        entry = entry.next;
        at += entry.tokenBytes + 1;
      } else {
        const found = this.#findKey(node, at + 1);
        at = skipSpace(source, this.#range.end + 1, end);
        if (found === undefined || source[at] !== COLON) return ODD;
        entry.next = found;
        entry = found;
        at += 1;
      }
      if ((source[at] as number) <= SPACE) at = skipSpace(source, at, end);
      at = this.#value(entry, at, depth);
      if (at === ODD) return ODD;
      if ((source[at] as number) <= SPACE) at = skipSpace(source, at, end);
      const byte = source[at] as number;
      at += 1;
      if (byte !== COMMA) return byte === CLOSE_BRACE ? at : ODD;
      if ((source[at] as number) <= SPACE) at = skipSpace(source, at, end);
    }
  }

  /** Entry of the key at `at`, just after its opening quote; `#range` is then the key. */
  #findKey(node: KeyNode, at: number): KeyEntry | undefined {
    const range = this.#range;
    range.start = at;
    range.end = plainEnd(this.#source, at, this.#end);
    if (range.end >= this.#end || this.#source[range.end] !== QUOTE) return undefined;
    return this.#keys.find(node, this.#source, range);
  }

  /** Reads the value at `at` and sets what `entry` says; position after it, or ODD. */
  #value(entry: KeyEntry, at: number, depth: number): number {
    const source = this.#source;
    const end = this.#end;
    const byte = source[at] as number;
    if (byte === QUOTE) return this.#quoted(entry, at + 1);
    if (byte === OPEN_BRACE) {
      const child = depth < MAX_DEPTH ? this.#keys.childOf(entry) : undefined;
      return child === undefined ? ODD : this.#members(child, at + 1, depth + 1);
    }
    if (byte === OPEN_BRACKET) return this.#array(entry, at);
    if (byte === LOWER_N) {
      const after = literalEnd(source, at, end);
      return after !== ODD && this.#skipNull(entry) ? after : ODD;
    }
    const range = this.#range;
    range.start = at;
    range.end =
      byte === LOWER_T || byte === LOWER_F ? literalEnd(source, at, end) : numberEnd(source, at, end);
    return range.end !== ODD && this.#set(entry, source, range) ? range.end : ODD;
  }

  #quoted(entry: KeyEntry, at: number): number {
    if (entry.isLabel) return this.#label(entry, at);
    return entry.field?.kind === FieldKind.time ? this.#time(entry, at) : this.#string(entry, at);
  }

  /**
   * The string at `at` as the event's time. Times of one source are equally long: when there is a quote where the
   * last one ended and a time before it, the search for the quote is spared (no time has one inside).
   */
  #time(entry: KeyEntry, at: number): number {
    const field = entry.field as Field;
    const range = this.#range;
    range.start = at;
    range.end = at + this.#timeBytes;
    const isLikely = range.end < this.#end && this.#source[range.end] === QUOTE && !this.#isClaimed(field);
    if (isLikely && this.#timeBytes > 0 && this.#writer.set(field, this.#source, range)) {
      this.#claims[field.id] = this.#serial;
      return range.end + 1;
    }
    const after = this.#string(entry, at);
    if (after !== ODD) this.#timeBytes = after - at - 1;
    return after;
  }

  #string(entry: KeyEntry, at: number): number {
    const strings = this.#strings;
    const after = strings.read(this.#source, at, this.#end);
    return after !== ODD && this.#set(entry, strings.bytes, strings.range) ? after : ODD;
  }

  /** The string at `at` for a low-cardinality column. */
  #label(entry: KeyEntry, at: number): number {
    const field = entry.field as Field;
    const strings = this.#strings;
    const isFree = !this.#isClaimed(field);
    if (isFree) {
      const after = this.#block.labelToken(field.index as TextField, at, this.#end);
      if (after !== ODD) {
        this.#claims[field.id] = entry.isMetadata ? this.#serial + 1 : this.#serial;
        return after;
      }
    }
    const after = strings.read(this.#source, at, this.#end);
    if (after === ODD) return ODD;
    if (!isFree || strings.bytes !== this.#source || strings.range.start === strings.range.end) {
      return this.#set(entry, strings.bytes, strings.range) ? after : ODD;
    }
    this.#claims[field.id] = entry.isMetadata ? this.#serial + 1 : this.#serial;
    this.#block.label(field.index as TextField, strings.bytes, strings.range);
    return after;
  }

  #array(entry: KeyEntry, at: number): number {
    const { field } = entry;
    if (field === undefined) {
      const after = this.#arrays.compact(this.#source, at, this.#end);
      return after !== ODD && this.#setMetadata(entry, this.#arrays.bytes, this.#arrays.range) ? after : ODD;
    }
    if (field.kind !== FieldKind.threats || !this.#claim(field)) return ODD;
    return this.#arrays.threats(this.#source, at, this.#end);
  }

  /** Sets a scalar; false when that is odd. */
  #set(entry: KeyEntry, value: Uint8Array, range: ByteRange): boolean {
    const { field } = entry;
    if (field === undefined) return this.#setMetadata(entry, value, range);
    if (entry.isMetadata) return this.#promote(entry, value, range);
    // An empty value is no value, unless it takes back one that came before.
    if (range.start === range.end) return !this.#isClaimed(field);
    return this.#claim(field) && this.#writer.set(field, value, range);
  }

  /** A member of `metadata` whose name is a column's. */
  #promote(entry: KeyEntry, value: Uint8Array, range: ByteRange): boolean {
    const field = entry.field as Field;
    if (this.#claims[field.id] === this.#serial) return this.#setMetadata(entry, value, range);
    if (range.start === range.end || this.#isClaimed(field)) return false;
    this.#claims[field.id] = this.#serial + 1;
    return this.#writer.set(field, value, range);
  }

  #setMetadata(entry: KeyEntry, value: Uint8Array, range: ByteRange): boolean {
    const block = this.#block;
    const generation = block.metadataGeneration;
    if (entry.metadataGeneration !== generation) {
      const { bytes } = this.#keys.paths;
      entry.metadataIndex = block.metadataKeyIndex(bytes, entry.pathStart, entry.pathEnd);
      entry.metadataGeneration = generation;
    }
    if (!block.metadataKeyAt(entry.metadataIndex)) return false;
    block.metadataValue(value, range.start, range.end);
    return true;
  }

  /** A null is no value, unless it takes back one that came before. */
  #skipNull(entry: KeyEntry): boolean {
    if (entry.field !== undefined) return !this.#isClaimed(entry.field);
    return !this.#block.hasMetadata(this.#keys.paths.bytes, entry.pathStart, entry.pathEnd);
  }

  #isClaimed(field: Field): boolean {
    return (this.#claims[field.id] as number) >= this.#serial;
  }

  /** Notes that the top level sets the field; false when something did before. */
  #claim(field: Field): boolean {
    if (this.#isClaimed(field)) return false;
    this.#claims[field.id] = this.#serial;
    return true;
  }
}
