/**
 * A small reader of ClickHouse's Native format, written from its description and apart from the encoder:
 * just the types that blocks use. Values come out as plain JavaScript.
 */

export interface NativeTable {
  readonly rowCount: number;
  readonly columns: ReadonlyMap<string, { readonly type: string; readonly values: readonly unknown[] }>;
  /** Rows with the columns that are in the block. */
  readonly rows: readonly Record<string, unknown>[];
}

class Cursor {
  readonly #view: DataView;
  at = 0;

  constructor(bytes: ArrayBuffer) {
    this.#view = new DataView(bytes);
  }

  get isAtEnd(): boolean {
    return this.at === this.#view.byteLength;
  }

  take(count: number): DataView {
    const part = new DataView(this.#view.buffer, this.at, count);
    this.at += count;
    return part;
  }

  varint(): number {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.take(1).getUint8(0);
      value += (byte & 127) * 2 ** shift;
      if (byte < 128) return value;
    }
  }

  uint64(): bigint {
    return this.take(8).getBigUint64(0, true);
  }

  bytes(): Buffer {
    const length = this.varint();
    const part = this.take(length);
    return Buffer.from(part.buffer, part.byteOffset, length);
  }

  /** Invalid UTF-8 fails the test that reads it. */
  text(): string {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(this.bytes());
  }
}

const THREATS =
  'Array(Tuple(name LowCardinality(String), severity LowCardinality(String), tags Array(LowCardinality(String))))';

function times<T>(count: number, make: () => T): T[] {
  return Array.from({ length: count }, make);
}

function lowCardinality(cursor: Cursor, count: number): string[] {
  if (count === 0) return [];
  const flags = cursor.uint64();
  if ((flags & ~0xffn) !== 0x600n) throw new Error(`unexpected LowCardinality flags ${flags}`);
  const dictionary = times(Number(cursor.uint64()), () => cursor.text());
  if (Number(cursor.uint64()) !== count) throw new Error('LowCardinality has another number of rows');
  const width = 1 << Number(flags & 0xffn);
  return times(count, () => {
    const part = cursor.take(width);
    const index =
      width === 1 ? part.getUint8(0) : width === 2 ? part.getUint16(0, true) : part.getUint32(0, true);
    const value = dictionary[index];
    if (value === undefined) throw new Error('LowCardinality index past its dictionary');
    return value;
  });
}

function prefix(cursor: Cursor, count = 1): void {
  for (let index = 0; index < count; index += 1) {
    if (cursor.uint64() !== 1n) throw new Error('unexpected LowCardinality version');
  }
}

/** Lengths from cumulative ends. */
function lengths(cursor: Cursor, count: number): number[] {
  const ends = times(count, () => Number(cursor.uint64()));
  return ends.map((end, index) => end - (ends[index - 1] ?? 0));
}

function split<T>(values: readonly T[], sizes: readonly number[]): T[][] {
  let at = 0;
  return sizes.map((size) => values.slice(at, (at += size)));
}

function readColumn(cursor: Cursor, type: string, rowCount: number): unknown[] {
  const nullable = /^Nullable\((.*)\)$/.exec(type)?.[1];
  if (nullable !== undefined) {
    const nulls = times(rowCount, () => cursor.take(1).getUint8(0));
    return readColumn(cursor, nullable, rowCount).map((value, row) => (nulls[row] === 1 ? null : value));
  }
  switch (type) {
    case 'UInt8':
      return times(rowCount, () => cursor.take(1).getUint8(0));
    case 'UInt16':
      return times(rowCount, () => cursor.take(2).getUint16(0, true));
    case 'UInt32':
      return times(rowCount, () => cursor.take(4).getUint32(0, true));
    case 'UInt64':
    case "DateTime64(6, 'UTC')":
      return times(rowCount, () => cursor.uint64());
    case 'Float64':
      return times(rowCount, () => cursor.take(8).getFloat64(0, true));
    case 'String':
      return times(rowCount, () => cursor.text());
    case 'IPv6':
      return times(rowCount, () => {
        const part = cursor.take(16);
        return Buffer.from(part.buffer, part.byteOffset, 16).toString('hex');
      });
    case 'LowCardinality(String)':
      prefix(cursor);
      return lowCardinality(cursor, rowCount);
    case 'Map(LowCardinality(String), String)': {
      prefix(cursor);
      const sizes = lengths(cursor, rowCount);
      const total = sizes.reduce((sum, size) => sum + size, 0);
      const keys = lowCardinality(cursor, total);
      const values = times(total, () => cursor.text());
      return split(
        keys.map((key, index) => [key, values[index]] as const),
        sizes,
      );
    }
    case THREATS: {
      prefix(cursor, 3);
      const sizes = lengths(cursor, rowCount);
      const total = sizes.reduce((sum, size) => sum + size, 0);
      const names = lowCardinality(cursor, total);
      const severities = lowCardinality(cursor, total);
      const tagSizes = lengths(cursor, total);
      const tags = split(
        lowCardinality(
          cursor,
          tagSizes.reduce((sum, size) => sum + size, 0),
        ),
        tagSizes,
      );
      return split(
        names.map((name, index) => ({ name, severity: severities[index], tags: tags[index] })),
        sizes,
      );
    }
    default:
      throw new Error(`no reader for ${type}`);
  }
}

/** Reads the one block that `bytes` hold; fails when any are left over or text is not UTF-8. */
export function readNative(bytes: ArrayBuffer): NativeTable {
  const cursor = new Cursor(bytes);
  const table = readBlock(cursor);
  if (!cursor.isAtEnd) throw new Error(`bytes left over at ${cursor.at}`);
  return table;
}

/** Rows of any number of blocks. */
export function readNativeRows(bytes: ArrayBuffer): Record<string, unknown>[] {
  const cursor = new Cursor(bytes);
  const rows: Record<string, unknown>[] = [];
  while (!cursor.isAtEnd) rows.push(...readBlock(cursor).rows);
  return rows;
}

function readBlock(cursor: Cursor): NativeTable {
  const columnCount = cursor.varint();
  const rowCount = cursor.varint();
  const columns = new Map<string, { type: string; values: unknown[] }>();
  for (let index = 0; index < columnCount; index += 1) {
    const name = cursor.text();
    const type = cursor.text();
    columns.set(name, { type, values: readColumn(cursor, type, rowCount) });
  }
  const rows = Array.from({ length: rowCount }, (_, row) =>
    Object.fromEntries([...columns].map(([name, { values }]) => [name, values[row]])),
  );
  return { rowCount, columns, rows };
}
