/**
 * Writes columns as one Native block: column count, row count, then name, type and data of each column.
 * https://clickhouse.com/docs/interfaces/formats/Native
 */
import type { Column } from '../event/columns.ts';
import { varintSize } from './bytes.ts';
import { type ColumnBuilder, NativeWriter } from './columns/column.ts';

/** Columns that no row of the block uses are left out; ClickHouse fills in their defaults. */
const OMITS_ABSENT_COLUMNS = true;

/** A column with its place in the block. */
export interface PlacedColumn {
  readonly header: Uint8Array;
  readonly builder: ColumnBuilder;
}

export function placeColumn(column: Column, builder: ColumnBuilder): PlacedColumn {
  const name = Buffer.from(column.name);
  const type = Buffer.from(column.type);
  const writer = new NativeWriter(
    varintSize(name.length) + name.length + varintSize(type.length) + type.length,
  );
  writer.varint(name.length);
  writer.raw(name, name.length);
  writer.varint(type.length);
  writer.raw(type, type.length);
  return { header: writer.bytes, builder };
}

/** The block as one fresh buffer of its exact size. */
export function writeBlock(columns: readonly PlacedColumn[], rowCount: number): ArrayBuffer {
  let columnCount = 0;
  let byteLength = 0;
  for (const { header, builder } of columns) {
    if (OMITS_ABSENT_COLUMNS && builder.isAbsent) continue;
    columnCount += 1;
    byteLength += header.length + builder.byteSize(rowCount);
  }
  const writer = new NativeWriter(byteLength + varintSize(columnCount) + varintSize(rowCount));
  writer.varint(columnCount);
  writer.varint(rowCount);
  for (const { header, builder } of columns) {
    if (OMITS_ABSENT_COLUMNS && builder.isAbsent) continue;
    writer.raw(header, header.length);
    builder.write(writer, rowCount);
  }
  return writer.bytes.buffer;
}

/** Rows for one table as one Native block; what the worker hands back (its buffer is moved). */
export interface EncodedBlock {
  readonly bytes: ArrayBuffer;
  readonly rowCount: number;
  /** Distinct partition keys of the rows, `day number * 8 + retention class`, ascending; at most 32. */
  readonly partitionKeys: readonly number[];
}
