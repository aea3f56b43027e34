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

export class ScopeCheck {
  readonly #block = new EventBlock();
  readonly #parser = new RecordParser(this.#block);
  readonly #scratch = new Uint8Array(MAX_VALUE_BYTES);

  /** Before the records of a body. */
  begin(): void {
    this.#block.reset({ source: 0, partition: 0, retentionDays: 1, retentionClass: 0 });
  }

  /** True also for what becomes no event: that is dead-lettered or passed over like everybody's. */
  accepts(bytes: Uint8Array, range: { readonly start: number; readonly end: number }, scope: Scope): boolean {
    this.#block.beginRow(0, 0);
    const outcome = this.#parser.parse(bytes, range.start, range.end);
    const { service, host, environment } = this.#block.columns;
    const isAccepted =
      outcome !== 'event' ||
      isInScope(scope, {
        service: this.#textOf(service),
        host: this.#textOf(host),
        environment: this.#textOf(environment),
      });
    this.#block.clearRow();
    return isAccepted;
  }

  #textOf(column: LowCardinalityColumn): string {
    const end = column.copyRow(0, this.#scratch, 0);
    // What does not fit stands in no scope.
    return end < 0 ? '\0' : Buffer.from(this.#scratch.buffer, 0, end).toString();
  }
}
