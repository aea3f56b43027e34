/**
 * The table partitions that the rows of a block fall into: day of the event and class of retention.
 * ClickHouse takes at most 100 of them in one insert; a block is sealed long before.
 */
const DAY_US = 86_400_000_000;
const RETENTION_CLASSES = 8;

/** A block that reached this many partitions takes no further row. */
const MAX_BLOCK_PARTITIONS = 32;

export class PartitionKeys {
  #keys: number[] = [];
  /** Start of the newest row's day. */
  #dayStartUs = -DAY_US;

  get isFull(): boolean {
    return this.#keys.length >= MAX_BLOCK_PARTITIONS;
  }

  /** `retentionClass` 0–7, the same for all rows of a block. */
  add(timestampUs: number, retentionClass: number): void {
    if (timestampUs >= this.#dayStartUs && timestampUs < this.#dayStartUs + DAY_US) return;
    const day = Math.floor(timestampUs / DAY_US);
    this.#dayStartUs = day * DAY_US;
    const key = day * RETENTION_CLASSES + retentionClass;
    if (!this.#keys.includes(key)) this.#keys.push(key);
  }

  /** The keys so far, ascending. */
  sorted(): number[] {
    return this.#keys.toSorted((left, right) => left - right);
  }

  reset(): void {
    this.#keys = [];
    this.#dayStartUs = -DAY_US;
  }
}
