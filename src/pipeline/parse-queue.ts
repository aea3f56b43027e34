/**
 * Chunks that wait for a parse worker: in the order of their arrival, and apart from them the suspects, which are
 * parsed one at a time on a worker of their own.
 */
import type { Chunk } from './chunk.ts';
import type { Lane } from './lane.ts';

export interface Queued {
  readonly lane: Lane;
  readonly chunk: Chunk;
}

export class ParseQueue {
  readonly #usual: Queued[] = [];
  readonly #suspects: Queued[] = [];

  get isEmpty(): boolean {
    return this.#usual.length + this.#suspects.length === 0;
  }

  /** The next of the usual ones. */
  get head(): Queued | undefined {
    return this.#usual[0];
  }

  takeHead(): void {
    this.#usual.shift();
  }

  takeSuspect(): Queued | undefined {
    return this.#suspects.shift();
  }

  /** Suspects take turns whatever `end`: one lane's many halves must not keep another lane waiting. */
  add(lane: Lane, chunks: readonly Chunk[], end: 'front' | 'back'): void {
    const entries = chunks.map((chunk) => ({ lane, chunk }));
    this.#suspects.push(...entries.filter(({ chunk }) => chunk.isSuspect));
    const usual = entries.filter(({ chunk }) => !chunk.isSuspect);
    if (end === 'front') this.#usual.unshift(...usual);
    else this.#usual.push(...usual);
  }

  remove(lane: Lane): void {
    for (const queue of [this.#usual, this.#suspects]) {
      for (let i = queue.length - 1; i >= 0; i--) if (queue[i]?.lane === lane) queue.splice(i, 1);
    }
  }
}
