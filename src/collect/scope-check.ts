/**
 * Whether a record belongs to the scope of who sent it: it is parsed here just as it will be for storage, and the
 * form that would be stored is looked at. Records of senders without a scope do not pass here.
 */
import type { LowCardinalityColumn } from '../encode/columns/low-cardinality.ts';
import { EventBlock } from '../encode/event-block.ts';
import { isInScope, type Scope } from '../event/scope.ts';
import { RecordParser } from '../parse/parse-record.ts';

/** Longer than any value of a scope. */
const MAX_VALUE_BYTES = 4096;
/** Rows are kept until there are this many, or so many bytes: to forget one costs a walk over all columns. */
const MAX_ROWS = 256;
const MAX_ROWS_BYTES = 256 * 1024;

export class ScopeCheck {
  readonly #block = new EventBlock();
  readonly #parser = new RecordParser(this.#block);
  readonly #scratch = Buffer.alloc(MAX_VALUE_BYTES);
  #rowsBytes = 0;

  /** Before the records of a body. */
  begin(): void {
    this.#rowsBytes = 0;
    this.#block.reset({ source: 0, partition: 0, retentionDays: 1, retentionClass: 0 });
  }

  /** True also for what becomes no event: that is dead-lettered or passed over like everybody's. */
  accepts(bytes: Uint8Array, range: { readonly start: number; readonly end: number }, scope: Scope): boolean {
    const block = this.#block;
    this.#rowsBytes += range.end - range.start;
    if (block.rowCount === MAX_ROWS || this.#rowsBytes > MAX_ROWS_BYTES || block.needsSeal) this.begin();
    block.beginRow(0, 0);
    if (this.#parser.parse(bytes, range.start, range.end) !== 'event') {
      block.clearRow();
      return true;
    }
    const { service, host, environment } = block.columns;
    const isAccepted = isInScope(scope, {
      service: this.#textOf(service),
      host: this.#textOf(host),
      environment: this.#textOf(environment),
    });
    block.commitRow();
    return isAccepted;
  }

  /** The value of the open row. */
  #textOf(column: LowCardinalityColumn): string {
    const end = column.copyRow(this.#block.rowCount, this.#scratch, 0);
    if (end === 0) return '';
    // What does not fit stands in no scope.
    return end < 0 ? '\0' : this.#scratch.toString('utf8', 0, end);
  }
}
