/**
 * A set of the values that were added last: the oldest goes when there are too many.
 */
export class RecentSet {
  readonly #maxCount: number;
  /** In the order of being added. */
  readonly #values = new Set<string>();

  constructor(maxCount: number) {
    this.#maxCount = maxCount;
  }

  add(value: string): void {
    this.#values.delete(value);
    this.#values.add(value);
    if (this.#values.size <= this.#maxCount) return;
    for (const oldest of this.#values) {
      this.#values.delete(oldest);
      return;
    }
  }

  values(): Iterable<string> {
    return this.#values;
  }

  has(value: string): boolean {
    return this.#values.has(value);
  }
}
