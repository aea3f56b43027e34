/**
 * Rows of table `dead_letters` under construction: records that could not become events, with their bytes sealed.
 */
import { DEAD_LETTER_COLUMNS, type LetterContent } from '../event/columns.ts';
import type { DeadLetterReason } from '../event/reasons.ts';
import { isSabotaged } from '../failpoints.ts';
import { type EncodedBlock, type PlacedColumn, placeColumn, writeBlock } from './block-layout.ts';
import type { ColumnBuilder } from './columns/column.ts';
import { ConstantColumn, Uint64Column, UintColumn } from './columns/fixed.ts';
import { LowCardinalityColumn } from './columns/low-cardinality.ts';
import { StringColumn } from './columns/string.ts';
import type { LetterSeal } from './letter-seal.ts';
import { clampRecordTime } from './record-time.ts';

/** A refused record, or several. `bytes[start, end)` is the payload, only read during the call. */
export interface DeadLetter {
  readonly offset: number;
  /** Exclusive: more than one offset when a whole batch could not be read. */
  readonly toOffset: number;
  /** Records it stands for. */
  readonly recordCount: number;
  readonly content: LetterContent;
  readonly recordTimeUs: number;
  readonly detail: string;
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
}

const MAX_BLOCK_ROWS = 65_536;
const MAX_BLOCK_BYTES = 16 * 1024 * 1024;
/** The table is partitioned by the month of storage: whatever the rows, they fall into one partition. */
const PARTITION_KEYS: readonly number[] = [0];

function createColumns() {
  return {
    source: new ConstantColumn(1),
    partition: new ConstantColumn(2),
    offset: new Uint64Column(),
    record_time: new Uint64Column(),
    reason: new LowCardinalityColumn(),
    detail: new StringColumn(),
    payload: new StringColumn(),
    to_offset: new Uint64Column(),
    record_count: new UintColumn(4),
    content: new LowCardinalityColumn(),
  } satisfies Record<(typeof DEAD_LETTER_COLUMNS)[number]['name'], ColumnBuilder>;
}

export class DeadLetterBlock {
  rowCount = 0;
  readonly #seal: LetterSeal;
  #scope = { source: 0, partition: 0 };
  readonly #columns = createColumns();
  readonly #placed: readonly PlacedColumn[] = DEAD_LETTER_COLUMNS.map((column) =>
    placeColumn(column, this.#columns[column.name]),
  );

  constructor(seal: LetterSeal) {
    this.#seal = seal;
  }

  /** Forgets all rows; the next ones belong to this source and partition. */
  reset(scope: { readonly source: number; readonly partition: number }): void {
    this.#scope = { source: scope.source, partition: scope.partition };
    for (const { builder } of this.#placed) builder.reset();
    this.#columns.source.set(scope.source);
    this.#columns.partition.set(scope.partition);
    this.rowCount = 0;
  }

  /** True when the block must be finished before the next letter is added. */
  get needsSeal(): boolean {
    return this.rowCount >= MAX_BLOCK_ROWS || this.#columns.payload.byteEstimate >= MAX_BLOCK_BYTES;
  }

  /** Bytes held for the rows, roughly the size of the block. */
  get byteEstimate(): number {
    let bytes = 0;
    for (const { builder } of this.#placed) bytes += builder.byteEstimate;
    return bytes;
  }

  add(reason: DeadLetterReason, letter: DeadLetter): void {
    const row = this.rowCount;
    const columns = this.#columns;
    const { offset, toOffset, content } = letter;
    const recordTimeUs = clampRecordTime(letter.recordTimeUs);
    columns.offset.set(row, offset);
    columns.record_time.set(row, recordTimeUs);
    setText(columns.reason, row, reason);
    setText(columns.detail, row, letter.detail);
    const place = { ...this.#scope, offset, toOffset, recordTimeUs, content };
    const end = isSabotaged('drop_letter_bytes') ? letter.start : letter.end;
    const sealed = this.#seal.seal(place, letter.bytes.subarray(letter.start, end));
    columns.payload.set(row, sealed, 0, sealed.length);
    columns.to_offset.set(row, toOffset);
    columns.record_count.set(row, letter.recordCount);
    setText(columns.content, row, content);
    this.rowCount = row + 1;
  }

  /** The rows as one block in a buffer of its own. They stay until `reset`. */
  finish(): EncodedBlock {
    return {
      bytes: writeBlock(this.#placed, this.rowCount),
      rowCount: this.rowCount,
      partitionKeys: PARTITION_KEYS,
    };
  }
}

function setText(column: LowCardinalityColumn | StringColumn, row: number, text: string): void {
  const bytes = Buffer.from(text);
  column.set(row, bytes, 0, bytes.length);
}
