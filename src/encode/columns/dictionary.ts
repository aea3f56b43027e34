/**
 * A set of byte strings numbered in order of first sight; 0 is the empty string.
 * Kept in Native form (varint length, bytes), so that a LowCardinality dictionary is one copy at the end.
 * Probing stops after 32 steps and adds the value again: hostile values that share a hash cost a little
 * space, never a quadratic scan. ClickHouse accepts a dictionary with repeated keys.
 */
import { ByteBuffer, hashBytes } from '../bytes.ts';

const MAX_PROBES = 32;
const FIRST_SLOTS = 256;

export class ByteDictionary {
  /** Changes whenever entries are forgotten: numbers given before may then be others'. */
  generation = 0;
  /** Number of entries, the empty string included. */
  count = 1;
  /** The entries in Native form. Its content is valid until the next change. */
  readonly native = new ByteBuffer(4096);
  #slots = new Uint32Array(FIRST_SLOTS);
  #starts = new Uint32Array(FIRST_SLOTS);
  #ends = new Uint32Array(FIRST_SLOTS);
  #hashes = new Int32Array(FIRST_SLOTS);

  constructor() {
    this.native.length = 1;
  }

  /** Number of `source[start, end)`, added when new. */
  intern(source: Uint8Array, start: number, end: number): number {
    if (start === end) return 0;
    const hash = hashBytes(source, start, end);
    const slots = this.#slots;
    const mask = slots.length - 1;
    let slot = hash & mask;
    for (let probes = 0; probes < MAX_PROBES; probes += 1) {
      const entry = slots[slot] as number;
      if (entry === 0) return this.#add(source, start, end, hash, slot);
      if (this.#hashes[entry] === hash && this.#isEntry(entry, source, start, end)) return entry;
      slot = (slot + 1) & mask;
    }
    return this.#add(source, start, end, hash, -1);
  }

  /** Number of `source[start, end)`, or -1 when it was never added. */
  find(source: Uint8Array, start: number, end: number): number {
    if (start === end) return 0;
    const hash = hashBytes(source, start, end);
    const mask = this.#slots.length - 1;
    let slot = hash & mask;
    for (let probes = 0; probes < MAX_PROBES; probes += 1) {
      const entry = this.#slots[slot] as number;
      if (entry === 0) return -1;
      if (this.#hashes[entry] === hash && this.#isEntry(entry, source, start, end)) return entry;
      slot = (slot + 1) & mask;
    }
    return -1;
  }

  /** Forgets the entries from `count` on; newest first, so that no probe chain breaks. */
  truncate(count: number): void {
    if (this.count > count) this.generation += 1;
    while (this.count > count) {
      this.count -= 1;
      const entry = this.count;
      const mask = this.#slots.length - 1;
      let slot = (this.#hashes[entry] as number) & mask;
      for (let probes = 0; probes < MAX_PROBES && this.#slots[slot] !== entry; probes += 1)
        slot = (slot + 1) & mask;
      if (this.#slots[slot] === entry) this.#slots[slot] = 0;
      this.native.length = entry === 1 ? 1 : (this.#ends[entry - 1] as number);
    }
  }

  reset(): void {
    this.generation += 1;
    if (this.count === 1) return;
    this.count = 1;
    this.native.length = 1;
    // A table that grew for one odd block would have to be cleared for every later one.
    if (this.#slots.length > FIRST_SLOTS * 64) this.#slots = new Uint32Array(FIRST_SLOTS);
    else this.#slots.fill(0);
  }

  /** Bytes of an entry. */
  byteLengthOf(entry: number): number {
    return (this.#ends[entry] as number) - (this.#starts[entry] as number);
  }

  /** Where an entry starts in `native`. */
  startOf(entry: number): number {
    return this.#starts[entry] as number;
  }

  // oxlint-disable-next-line max-params -- kernel, bench/parse-json.ts
  #isEntry(entry: number, source: Uint8Array, start: number, end: number): boolean {
    const at = this.#starts[entry] as number;
    return (this.#ends[entry] as number) - at === end - start && this.native.equals(at, source, start, end);
  }

  // oxlint-disable-next-line max-params -- kernel, bench/parse-json.ts
  #add(source: Uint8Array, start: number, end: number, hash: number, slot: number): number {
    const entry = this.count;
    if (entry === this.#starts.length) this.#growEntries();
    this.native.appendString(source, start, end);
    this.#starts[entry] = this.native.length - (end - start);
    this.#ends[entry] = this.native.length;
    this.#hashes[entry] = hash;
    this.count = entry + 1;
    if (slot >= 0) this.#slots[slot] = entry;
    if (this.count * 2 > this.#slots.length) this.#rehash(this.#slots.length * 2);
    return entry;
  }

  #growEntries(): void {
    this.#starts = grownWords(this.#starts);
    this.#ends = grownWords(this.#ends);
    const hashes = new Int32Array(this.#hashes.length * 2);
    hashes.set(this.#hashes);
    this.#hashes = hashes;
  }

  #rehash(slotCount: number): void {
    const slots = slotCount === this.#slots.length ? this.#slots.fill(0) : new Uint32Array(slotCount);
    const mask = slotCount - 1;
    for (let entry = 1; entry < this.count; entry += 1) {
      let slot = (this.#hashes[entry] as number) & mask;
      let probes = 0;
      while (slots[slot] !== 0 && probes < MAX_PROBES) {
        slot = (slot + 1) & mask;
        probes += 1;
      }
      if (probes < MAX_PROBES) slots[slot] = entry;
    }
    this.#slots = slots;
  }
}

export function grownWords(words: Uint32Array<ArrayBuffer>): Uint32Array<ArrayBuffer> {
  const grown = new Uint32Array(words.length * 2);
  grown.set(words);
  return grown;
}
