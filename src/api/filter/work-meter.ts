/**
 * How much work the automata of a filter are: steps of patterns that had to be followed anew. A pattern whose automaton
 * is small needs hardly any after its first texts; one that counts may need some for every character.
 */

/** What a meter throws in the middle of a text. */
export class TooMuchWork extends Error {}

export class WorkMeter {
  readonly #maxSteps: number;
  #stepCount = 0;

  /** `maxSteps` may be spent from one `read` to the next. */
  constructor(maxSteps: number) {
    this.#maxSteps = maxSteps;
  }

  /** Throws `TooMuchWork`. */
  spend(stepCount: number): void {
    this.#stepCount += stepCount;
    if (this.#stepCount > this.#maxSteps) throw new TooMuchWork();
  }

  /** What was spent since the last call. */
  read(): number {
    const stepCount = this.#stepCount;
    this.#stepCount = 0;
    return stepCount;
  }
}
