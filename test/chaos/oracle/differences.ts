/** What differs, kind by kind: each with its count and its first places. */
const MAX_NAMED = 3;

export class Differences {
  readonly #byKind = new Map<string, { count: number; readonly named: string[] }>();

  add(kind: string, where: string): void {
    const entry = this.#byKind.get(kind) ?? { count: 0, named: [] };
    this.#byKind.set(kind, entry);
    entry.count += 1;
    if (entry.named.length < MAX_NAMED) entry.named.push(where);
  }

  sentences(): string[] {
    return [...this.#byKind].map(([kind, { count, named }]) => `${count} ${kind}: ${named.join(', ')}`);
  }
}
