/**
 * Characters that a pattern does not tell apart: of each class one stands for all.
 */
import type { Range } from './pattern-tree.ts';

const ASCII_COUNT = 128;

export class CharacterClasses {
  /** The first character of each class, ascending. */
  readonly #firsts: Uint32Array;
  readonly #ascii = new Uint16Array(ASCII_COUNT);

  /** `ranges` are those of the sets of the pattern. */
  constructor(ranges: readonly Range[]) {
    const firsts = new Set([0]);
    for (const [first, last] of ranges) firsts.add(first).add(last + 1);
    this.#firsts = Uint32Array.from(firsts).toSorted();
    for (let code = 0; code < ASCII_COUNT; code++) this.#ascii[code] = this.#search(code);
  }

  /** Number of the class that the character is in. */
  of(codePoint: number): number {
    return this.#ascii[codePoint] ?? this.#search(codePoint);
  }

  first(characters: number): number {
    return this.#firsts[characters] ?? 0;
  }

  #search(codePoint: number): number {
    let low = 0;
    let high = this.#firsts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if ((this.#firsts[middle] ?? 0) <= codePoint) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}
