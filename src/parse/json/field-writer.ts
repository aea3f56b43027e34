/**
 * Sets one known field of the open row from a scalar's bytes. Both JSON parsers write through it,
 * so a value means the same on either path.
 */
import type { EventBlock } from '../../encode/event-block.ts';
import type { ByteRange, IpField, TextField, UintField } from '../../encode/event-row.ts';
import type { CountField, FloatField } from '../../encode/metric-field.ts';
import { severityOfName, severityOfNumericLevel } from '../severity.ts';
import { isPlausibleTime, parseTime } from '../time.ts';
import { type Field, FieldKind } from './fields.ts';
import { parseDecimal, parseUint64, parseWhole, wide } from './number.ts';

const MAX_SEVERITY = 24;

export class FieldWriter {
  readonly #block: EventBlock;
  /** The open row's level is text without a known severity. */
  #hasUnknownLevel = false;
  #hasSeverityNumber = false;

  constructor(block: EventBlock) {
    this.#block = block;
  }

  /** To be called for each row, and again when it is cleared. */
  reset(): void {
    this.#hasUnknownLevel = false;
    this.#hasSeverityNumber = false;
  }

  /**
   * Sets `field` from the text of a string, number or boolean that is not empty.
   * False, and nothing set, when the field cannot hold it.
   */
  set(field: Field, source: Uint8Array, range: ByteRange): boolean {
    switch (field.kind) {
      case FieldKind.text:
        this.#block.text(field.index as TextField, source, range);
        return true;
      case FieldKind.ip:
        return this.#block.ip(field.index as IpField, source, range);
      case FieldKind.uint:
        return this.#uint(field, source, range);
      case FieldKind.float:
        return this.#float(field.index as FloatField, source, range);
      case FieldKind.count:
        if (!parseUint64(source, range)) return false;
        this.#block.count(field.index as CountField, wide.low, wide.high);
        return true;
      case FieldKind.time:
        return this.#time(source, range);
      case FieldKind.level:
        return this.#level(source, range);
      case FieldKind.severityNumber:
        return this.#severityNumber(source, range);
      case FieldKind.threats:
      case FieldKind.metadata:
        return false;
      default:
        return field.kind satisfies never;
    }
  }

  #uint(field: Field, source: Uint8Array, range: ByteRange): boolean {
    const value = parseWhole(source, range);
    if (value < 0 || value > field.max) return false;
    this.#block.uint(field.index as UintField, value);
    return true;
  }

  #float(field: FloatField, source: Uint8Array, range: ByteRange): boolean {
    const value = parseDecimal(source, range);
    if (Number.isNaN(value)) return false;
    this.#block.float(field, value);
    return true;
  }

  #time(source: Uint8Array, range: ByteRange): boolean {
    const { recordTimeUs } = this.#block;
    const timeUs = parseTime(source, range, recordTimeUs);
    if (!isPlausibleTime(timeUs, recordTimeUs)) return false;
    this.#block.timestamp(timeUs);
    return true;
  }

  /** A severity number, when the event has one, is finer than the level's name and stays. */
  #level(source: Uint8Array, range: ByteRange): boolean {
    const number = severityOfName(source, range) || severityOfNumericLevel(parseWhole(source, range));
    if (number === 0) {
      this.#hasUnknownLevel = true;
      this.#block.levelText(source, range);
    } else if (!this.#hasSeverityNumber) {
      this.#block.severity(number);
    }
    return true;
  }

  #severityNumber(source: Uint8Array, range: ByteRange): boolean {
    const number = parseWhole(source, range);
    if (number < 0 || number > MAX_SEVERITY) return false;
    // OpenTelemetry's 0 says that there is none.
    if (number === 0) return true;
    this.#hasSeverityNumber = true;
    if (this.#hasUnknownLevel) this.#block.severityNumber(number);
    else this.#block.severity(number);
    return true;
  }
}
