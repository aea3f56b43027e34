/**
 * One after the other for the same key, within this process.
 */

/** Holds one entry for each key that somebody works on or waits for. */
export class Turns {
  readonly #last = new Map<string, Promise<unknown>>();

  /** What `work` gives, begun when those before it with the same key have ended, however they ended. */
  async run<T>(key: string, work: () => Promise<T>): Promise<T> {
    const turn = (this.#last.get(key) ?? Promise.resolve()).then(work, work);
    this.#last.set(key, turn);
    try {
      return await turn;
    } finally {
      if (this.#last.get(key) === turn) this.#last.delete(key);
    }
  }
}
