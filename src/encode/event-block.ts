/**
 * Rows of table `logs` under construction: parsers write events into it, `finish` gives one Native block.
 * One long-lived object per worker. Life of a row: beginRow, setters, then commitRow; clearRow takes back what the
 * setters did, to set the row anew or to drop it.
 */
import { EventFlag } from '../event/columns.ts';
import { parseIp } from '../parse/ip.ts';
import { LEVEL_NAMES, levelIndexOf } from '../parse/severity.ts';
import { isPlausibleTime } from '../parse/time.ts';
import { type EncodedBlock, type PlacedColumn, writeBlock } from './block-layout.ts';
import type { FloatColumn, IpColumn, NullableColumn, Uint64Column } from './columns/fixed.ts';
import type { LowCardinalityColumn } from './columns/low-cardinality.ts';
import type { StringColumn } from './columns/string.ts';
import type { ByteRange, EventRow, IpField, TextField, UintField } from './event-row.ts';
import { createLogColumns, groupLogColumns, type LogColumns, placeLogColumns } from './log-columns.ts';
import type { CountField, FloatField } from './metric-field.ts';
import { PartitionKeys } from './partition-keys.ts';
import { clampRecordTime } from './record-time.ts';

/** What all rows of a block have in common. */
export interface BlockScope {
  /** Number of the source, 0–255, and its partition, 0–16383. */
  readonly source: number;
  readonly partition: number;
  readonly retentionDays: number;
  /** Index of `retentionDays` among the classes in force, 0–7. */
  readonly retentionClass: number;
}

const MAX_BLOCK_ROWS = 65_536;
const MAX_BLOCK_BYTES = 16 * 1024 * 1024;
const FIXED_ROW_BYTES = 40;
const FIRST_STRING_FIELD = 9;

export class EventBlock implements EventRow {
  rowCount = 0;
  /** Newest event time of the committed rows in microseconds; -Infinity without rows. */
  maxTimestampUs = -Infinity;
  recordTimeUs = 0;
  readonly #columns = createLogColumns();
  readonly #placed: readonly PlacedColumn[] = placeLogColumns(this.#columns);
  readonly #groups = groupLogColumns(this.#columns);
  readonly #partitionKeys = new PartitionKeys();
  readonly #address = new Uint8Array(16);
  /** Dictionary index of each level name in this block, 0 while it was not used. */
  readonly #levelIndexes = new Uint32Array(LEVEL_NAMES.length);
  readonly #metadataKeys = new Map<string, Uint8Array>();
  #retentionClass = 0;
  /** Bytes of all texts that were set, for `needsSeal`. */
  #textBytes = 0;
  #offset = 0;
  #timestampUs = -1;
  #flags = 0;

  /** Forgets all rows; the next ones belong to `scope`. */
  reset(scope: BlockScope): void {
    for (const { builder } of this.#placed) builder.reset();
    this.#columns.source.set(scope.source);
    this.#columns.partition.set(scope.partition);
    this.#columns.retention_days.set(scope.retentionDays);
    this.#retentionClass = scope.retentionClass;
    this.#partitionKeys.reset();
    this.#levelIndexes.fill(0);
    this.#textBytes = 0;
    this.rowCount = 0;
    this.maxTimestampUs = -Infinity;
  }

  /** True when the block must be finished before the next row is begun. */
  get needsSeal(): boolean {
    return (
      this.rowCount >= MAX_BLOCK_ROWS || this.#partitionKeys.isFull || this.#payloadBytes() >= MAX_BLOCK_BYTES
    );
  }

  /** Bytes held for the rows, roughly the size of the block. */
  get byteEstimate(): number {
    let bytes = 0;
    for (const { builder } of this.#placed) bytes += builder.byteEstimate;
    return bytes;
  }

  /** Opens a row. `offset` below 2^53; `recordTimeUs` is Kafka's timestamp or the time of receipt. */
  beginRow(offset: number, recordTimeUs: number): void {
    this.#offset = offset;
    this.recordTimeUs = clampRecordTime(recordTimeUs);
    this.#timestampUs = -1;
    this.#flags = 0;
  }

  /** Keeps the open row. */
  commitRow(): void {
    const row = this.rowCount;
    const { recordTimeUs } = this;
    const columns = this.#columns;
    let timestampUs = this.#timestampUs;
    let flags = this.#flags;
    if (timestampUs < 0) {
      timestampUs = recordTimeUs;
      if ((flags & EventFlag.timeReplaced) === 0) flags |= EventFlag.timeMissing;
    }
    columns.timestamp.set(row, timestampUs);
    columns.ingested_at.set(row, recordTimeUs);
    columns.offset.set(row, this.#offset);
    if (flags !== 0) columns.flags.set(row, flags);
    columns.metadata.closeRow(row);
    this.#partitionKeys.add(timestampUs, this.#retentionClass);
    if (timestampUs > this.maxTimestampUs) this.maxTimestampUs = timestampUs;
    this.rowCount = row + 1;
  }

  /** The builders, for reading the open row back. */
  get columns(): LogColumns {
    return this.#columns;
  }

  /** Takes back all that was set for the open row. */
  clearRow(): void {
    for (const { builder } of this.#placed) builder.clearRow(this.rowCount);
    this.#levelIndexes.fill(0);
    this.#timestampUs = -1;
    this.#flags = 0;
  }

  /** The committed rows as one block in a buffer of its own. The rows stay until `reset`. */
  finish(): EncodedBlock {
    return {
      bytes: writeBlock(this.#placed, this.rowCount),
      rowCount: this.rowCount,
      partitionKeys: this.#partitionKeys.sorted(),
    };
  }

  text(field: TextField, source: Uint8Array, range: ByteRange): void {
    this.#textBytes += range.end - range.start;
    if (field < FIRST_STRING_FIELD) {
      (this.#groups.labels[field] as LowCardinalityColumn).set(this.rowCount, source, range.start, range.end);
    } else {
      const column = this.#groups.strings[field - FIRST_STRING_FIELD] as StringColumn;
      column.set(this.rowCount, source, range.start, range.end);
    }
  }

  /**
   * Sets a low-cardinality field when the source in focus has, at `at` and with a quote behind it, a value that
   * the column met lately; position after the quote, -1 when it has not.
   */
  labelToken(field: TextField, at: number, end: number): number {
    return (this.#groups.labels[field] as LowCardinalityColumn).token(this.rowCount, at, end);
  }

  /** Like `text` for a low-cardinality field whose value stands as it is in the source in focus, quote behind. */
  label(field: TextField, source: Uint8Array, range: ByteRange): void {
    const column = this.#groups.labels[field] as LowCardinalityColumn;
    column.set(this.rowCount, source, range.start, range.end);
    column.rememberToken(this.rowCount, range.start);
  }

  hasText(field: TextField): boolean {
    if (field < FIRST_STRING_FIELD) {
      return (this.#groups.labels[field] as LowCardinalityColumn).indexAt(this.rowCount) !== 0;
    }
    return (this.#groups.strings[field - FIRST_STRING_FIELD] as StringColumn).has(this.rowCount);
  }

  ip(field: IpField, source: Uint8Array, range: ByteRange): boolean {
    if (!parseIp(source, range, this.#address)) return false;
    (this.#groups.ips[field] as IpColumn).set(this.rowCount, this.#address);
    return true;
  }

  hasIp(field: IpField): boolean {
    return (this.#groups.ips[field] as IpColumn).has(this.rowCount);
  }

  uint(field: UintField, value: number): void {
    this.#groups.uints[field]?.set(this.rowCount, value);
  }

  hasUint(field: UintField): boolean {
    return this.#groups.uints[field]?.get(this.rowCount) !== 0;
  }

  float(field: FloatField, value: number): void {
    const column = this.#groups.floats[field] as NullableColumn<FloatColumn>;
    column.values.set(this.rowCount, value);
    column.mark(this.rowCount);
  }

  /** A number of 64 bits in two halves, each below 2^32. */
  count(field: CountField, low: number, high: number): void {
    const column = this.#groups.counts[field] as NullableColumn<Uint64Column>;
    column.values.setWords(this.rowCount, low, high);
    column.mark(this.rowCount);
  }

  timestamp(microseconds: number): void {
    if (isPlausibleTime(microseconds, this.recordTimeUs)) {
      this.#timestampUs = microseconds;
      this.#flags &= ~EventFlag.timeReplaced;
    } else {
      this.timeUnreadable();
    }
  }

  timeUnreadable(): void {
    this.#timestampUs = -1;
    this.#flags |= EventFlag.timeReplaced;
  }

  textRepaired(): void {
    this.#flags |= EventFlag.textRepaired;
  }

  severity(number: number): void {
    const row = this.rowCount;
    const level = levelIndexOf(number);
    const { level: column } = this.#columns;
    this.#columns.severity_number.set(row, number);
    const known = this.#levelIndexes[level] as number;
    if (known !== 0) {
      column.setIndex(row, known);
      return;
    }
    const name = LEVEL_NAMES[level] as Uint8Array;
    column.set(row, name, 0, name.length);
    this.#levelIndexes[level] = column.indexAt(row);
  }

  /** A level whose severity is not known, as it was given; sets no number. */
  levelText(source: Uint8Array, range: ByteRange): void {
    this.#columns.level.set(this.rowCount, source, range.start, range.end);
  }

  /** The number beside a level that is kept as text. */
  severityNumber(number: number): void {
    this.#columns.severity_number.set(this.rowCount, number);
  }

  /** A key that the row has already keeps its first value. */
  metadata(key: string, source: Uint8Array, range: ByteRange): void {
    let bytes = this.#metadataKeys.get(key);
    if (bytes === undefined) {
      bytes = new TextEncoder().encode(key);
      this.#metadataKeys.set(key, bytes);
    }
    const column = this.#columns.metadata;
    if (column.key(bytes, 0, bytes.length)) column.value(source, range.start, range.end);
  }

  /** Starts a metadata entry, to be ended by `metadataValue`; false when the row has the key already. */
  metadataKey(source: Uint8Array, start: number, end: number): boolean {
    return this.#columns.metadata.key(source, start, end);
  }

  /** The same by the number that `metadataKeyIndex` gave. */
  metadataKeyAt(index: number): boolean {
    return this.#columns.metadata.keyAt(index);
  }

  /** Number of a metadata key, valid while `metadataGeneration` is what it is. */
  metadataKeyIndex(source: Uint8Array, start: number, end: number): number {
    return this.#columns.metadata.keyIndex(source, start, end);
  }

  get metadataGeneration(): number {
    return this.#columns.metadata.generation;
  }

  metadataValue(source: Uint8Array, start: number, end: number): void {
    this.#columns.metadata.value(source, start, end);
  }

  hasMetadata(source: Uint8Array, start: number, end: number): boolean {
    return this.#columns.metadata.hasKey(source, start, end);
  }

  /** Opens the row's next threat; its parts follow. */
  threat(): void {
    this.#columns.threats.begin(this.rowCount);
  }

  threatName(source: Uint8Array, range: ByteRange): void {
    this.#columns.threats.name(source, range.start, range.end);
  }

  threatSeverity(source: Uint8Array, range: ByteRange): void {
    this.#columns.threats.severity(source, range.start, range.end);
  }

  threatTag(source: Uint8Array, range: ByteRange): void {
    this.#columns.threats.tag(source, range.start, range.end);
  }

  #payloadBytes(): number {
    return this.#textBytes + this.#columns.metadata.byteEstimate + this.rowCount * FIXED_ROW_BYTES;
  }
}
