/**
 * Ids of public keys that are read however many newer keys there are: those that tokens came with lately. A key that
 * signs is among them at every program that sees its tokens.
 */
import { RecentSet } from './recent-set.ts';

/** Anybody can make up ids: so many are looked up by one read. */
const MAX_ASKED = 512;
const MAX_FOUND = 64;

export class AskedKeys {
  /** To be looked up by the next read. */
  readonly #asked = new Set<string>();
  readonly #found = new RecentSet(MAX_FOUND);

  /** False when there is no room until the next read. */
  ask(id: string): boolean {
    if (this.#asked.size >= MAX_ASKED && !this.#asked.has(id)) return false;
    this.#asked.add(id);
    return true;
  }

  /** Keeps the id of a key that is in use. */
  use(id: string): void {
    if (this.#found.has(id)) this.#found.add(id);
  }

  /** What a read that begins now must look for. */
  all(): string[] {
    return [...new Set([...this.#found.values(), ...this.#asked])];
  }

  /** What a read that looked for `ids` found. */
  settle(ids: readonly string[], found: { has(id: string): boolean }): void {
    for (const id of ids) {
      if (this.#asked.delete(id) && found.has(id)) this.#found.add(id);
    }
  }
}
