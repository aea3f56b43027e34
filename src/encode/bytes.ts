/**
 * Byte kernels shared by parsers and columns: hash, compare, copy, four bytes a step.
 * Loops, because a call into the runtime costs more than the 5–60 bytes that a field has. Steps of four go
 * through a DataView, which V8 compiles to one unaligned load; making one costs an allocation, so only the
 * source in focus (the batch that is being read) has one, and other sources go byte by byte.
 * Bench: bench/parse-json.ts.
 */

/** The source that is read by words. Set it with `focusOn`. */
export const focus = {
  source: new Uint8Array(0) as Uint8Array,
  view: new DataView(new ArrayBuffer(0)) as DataView,
};

/** Makes the kernels read `source` by words until another one comes. Costs nothing when it is in focus already. */
export function focusOn(source: Uint8Array): void {
  if (focus.source === source) return;
  focus.source = source;
  focus.view = new DataView(source.buffer, source.byteOffset, source.byteLength);
}

const LONG_COPY_BYTES = 512;
const MULTIPLIER = 0x9e3779b1;

/** 32-bit hash of `source[start, end)`. Not for hostile input without a limit on probes. */
export function hashBytes(source: Uint8Array, start: number, end: number): number {
  let hash = (end - start) | 0;
  if (end - start >= 4) {
    const last = end - 4;
    if (source === focus.source) {
      const { view } = focus;
      for (let at = start; at < last; at += 4) {
        hash = Math.imul(hash ^ view.getInt32(at, true), MULTIPLIER);
        hash ^= hash >>> 15;
      }
      hash ^= view.getInt32(last, true);
    } else {
      for (let at = start; at < last; at += 4) {
        hash = Math.imul(hash ^ wordAt(source, at), MULTIPLIER);
        hash ^= hash >>> 15;
      }
      hash ^= wordAt(source, last);
    }
  } else {
    for (let at = start; at < end; at += 1) hash = (hash << 8) ^ (source[at] as number);
  }
  hash = Math.imul(hash, MULTIPLIER);
  return hash ^ (hash >>> 15);
}

function wordAt(source: Uint8Array, at: number): number {
  return (
    (source[at] as number) |
    ((source[at + 1] as number) << 8) |
    ((source[at + 2] as number) << 16) |
    ((source[at + 3] as number) << 24)
  );
}

/** A growing stretch of bytes with a view for word access. */
export class ByteBuffer {
  bytes: Uint8Array<ArrayBuffer>;
  view: DataView;
  length = 0;

  constructor(capacity: number) {
    this.bytes = new Uint8Array(capacity);
    this.view = new DataView(this.bytes.buffer);
  }

  /** Makes room for `extra` more bytes. */
  reserve(extra: number): void {
    if (this.length + extra > this.bytes.length) this.#grow(this.length + extra);
  }

  /** Appends `source[start, end)`; room must be reserved. */
  append(source: Uint8Array, start: number, end: number): void {
    const byteCount = end - start;
    const shift = this.length - start;
    this.length += byteCount;
    if (byteCount > LONG_COPY_BYTES) {
      this.bytes.set(source.subarray(start, end), start + shift);
    } else if (byteCount >= 4 && source === focus.source) {
      const { view } = this;
      const from = focus.view;
      const last = end - 4;
      for (let at = start; at < last; at += 4) view.setInt32(at + shift, from.getInt32(at, true), true);
      view.setInt32(last + shift, from.getInt32(last, true), true);
    } else {
      const { bytes } = this;
      for (let at = start; at < end; at += 1) bytes[at + shift] = source[at] as number;
    }
  }

  /** Appends `source[start, end)` as Native writes a string: varint length, bytes. Makes its own room. */
  appendString(source: Uint8Array, start: number, end: number): void {
    const byteCount = end - start;
    this.reserve(byteCount + 5);
    if (byteCount < 128) {
      this.bytes[this.length] = byteCount;
      this.length += 1;
    } else {
      this.length = writeVarint(this.bytes, this.length, byteCount);
    }
    this.append(source, start, end);
  }

  appendZeros(count: number): void {
    this.reserve(count);
    this.bytes.fill(0, this.length, this.length + count);
    this.length += count;
  }

  /** Whether `source[start, end)` is what stands at `at`. */
  // oxlint-disable-next-line max-params -- kernel, bench/parse-json.ts
  equals(at: number, source: Uint8Array, start: number, end: number): boolean {
    const shift = at - start;
    if (end - start >= 4 && source === focus.source) {
      const { view } = this;
      const other = focus.view;
      const last = end - 4;
      for (let from = start; from < last; from += 4) {
        if (view.getInt32(from + shift, true) !== other.getInt32(from, true)) return false;
      }
      return view.getInt32(last + shift, true) === other.getInt32(last, true);
    }
    const { bytes } = this;
    for (let from = start; from < end; from += 1) {
      if (bytes[from + shift] !== source[from]) return false;
    }
    return true;
  }

  #grow(needed: number): void {
    this.bytes = grownTo(this.bytes, needed);
    this.view = new DataView(this.bytes.buffer);
  }
}

/** Writes an unsigned LEB128 number below 2^32 (Native's string lengths and counts) and gives the position after. */
export function writeVarint(target: Uint8Array, at: number, value: number): number {
  let rest = value;
  let to = at;
  while (rest > 127) {
    target[to++] = (rest & 127) | 128;
    rest >>>= 7;
  }
  target[to++] = rest;
  return to;
}

export function varintSize(value: number): number {
  if (value < 1 << 7) return 1;
  if (value < 1 << 14) return 2;
  if (value < 1 << 21) return 3;
  return value < 1 << 28 ? 4 : 5;
}

/** `bytes` with room for `needed`, grown by doubling; the old content is kept. */
export function grownTo(bytes: Uint8Array<ArrayBuffer>, needed: number): Uint8Array<ArrayBuffer> {
  if (needed <= bytes.length) return bytes;
  const grown = new Uint8Array(Math.max(needed, bytes.length * 2, 256));
  grown.set(bytes);
  return grown;
}

/** Copies `source[start, end)` to `target` at `at`; position behind it, -1 when it does not fit. */
// oxlint-disable-next-line max-params -- kernel, bench/parse-json.ts
export function copyBytes(
  source: Uint8Array,
  start: number,
  end: number,
  target: Uint8Array,
  at: number,
): number {
  const shift = at - start;
  if (end + shift > target.length) return -1;
  for (let from = start; from < end; from += 1) target[from + shift] = source[from] as number;
  return end + shift;
}
