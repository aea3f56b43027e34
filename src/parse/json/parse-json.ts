/**
 * One record of JSON → the open row of an event block: the fast path first, the slow one for what it will not
 * take. Never throws, and never stops at a field: what does not fit a column goes to metadata.
 */
import type { EventBlock } from '../../encode/event-block.ts';
import type { ByteRange } from '../../encode/event-row.ts';
import type { ParseOutcome } from '../parse-outcome.ts';
import { FieldWriter } from './field-writer.ts';
import { FastScanner } from './scan.ts';
import { SlowParser } from './slow.ts';

export class JsonParser {
  /** Records that the fast path gave up to the slow one; the owner may set it back. */
  slowPathCount = 0;
  readonly #block: EventBlock;
  readonly #fast: FastScanner;
  readonly #slow: SlowParser;

  constructor(block: EventBlock) {
    const writer = new FieldWriter(block);
    this.#block = block;
    this.#fast = new FastScanner(block, writer);
    this.#slow = new SlowParser(block, writer);
  }

  /** Why the record parsed last is a dead letter. */
  get failureDetail(): string {
    return this.#slow.failureDetail;
  }

  /**
   * Sets the block's open row from the object that fills `source[range)`. On 'event' the row is to be committed,
   * on anything else (malformed_json, nested_too_deep) to be rolled back.
   */
  parse(source: Uint8Array, range: ByteRange): ParseOutcome {
    if (this.#fast.scan(source, range)) return 'event';
    this.#block.clearRow();
    this.slowPathCount += 1;
    return this.#slow.parse(source, range);
  }
}
