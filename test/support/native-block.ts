/** Small Native blocks written by hand, byte by byte, independent of the program's encoder. */

export interface NativeColumn {
  readonly name: string;
  readonly type: string;
  readonly data: Uint8Array;
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80);
  bytes.push(rest);
  return bytes;
}

function text(value: string): number[] {
  const bytes = new TextEncoder().encode(value);
  return [...varint(bytes.length), ...bytes];
}

function fixed(bytesEach: number, values: readonly (number | bigint)[]): Uint8Array {
  const bytes = new Uint8Array(bytesEach * values.length);
  for (const [row, value] of values.entries()) {
    let rest = BigInt(value);
    for (let at = 0; at < bytesEach; at += 1, rest >>= 8n) bytes[row * bytesEach + at] = Number(rest & 0xffn);
  }
  return bytes;
}

export const uint8 = (values: readonly number[]): Uint8Array => fixed(1, values);
export const uint16 = (values: readonly number[]): Uint8Array => fixed(2, values);
export const uint64 = (values: readonly (number | bigint)[]): Uint8Array => fixed(8, values);
export const strings = (values: readonly string[]): Uint8Array => Uint8Array.from(values.flatMap(text));

/** LowCardinality(String): version, flags (8-bit indexes, additional keys), dictionary, row count, indexes. */
export function lowCardinality(values: readonly string[]): Uint8Array {
  const dictionary = ['', ...new Set(values.filter((value) => value !== ''))];
  return Uint8Array.from([
    ...uint64([1]),
    ...uint64([(1 << 9) | (1 << 10)]),
    ...uint64([dictionary.length]),
    ...strings(dictionary),
    ...uint64([values.length]),
    ...values.map((value) => dictionary.indexOf(value)),
  ]);
}

export function nativeBlock(rowCount: number, columns: readonly NativeColumn[]): ArrayBuffer {
  const parts = columns.flatMap(({ name, type, data }) => [...text(name), ...text(type), ...data]);
  return Uint8Array.from([...varint(columns.length), ...varint(rowCount), ...parts]).buffer;
}
