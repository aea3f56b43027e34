/**
 * Schemas with an `$id` go into the components of the document, once, and are referred to from where they stood.
 */

export class Components {
  readonly #schemas = new Map<string, unknown>();

  /** The schema as it stands in the document. Throws when one name stands for two schemas. */
  refer(schema: unknown): unknown {
    if (Array.isArray(schema)) return schema.map((item) => this.refer(item));
    if (typeof schema !== 'object' || schema === null) return schema;
    const { $id: name, ...rest } = schema as Readonly<Record<string, unknown>>;
    const entries = Object.entries(rest).map(([key, value]) => [key, this.refer(value)] as const);
    const referred = Object.fromEntries(entries);
    if (typeof name !== 'string') return referred;
    const known = this.#schemas.get(name);
    if (known !== undefined && JSON.stringify(known) !== JSON.stringify(referred)) {
      throw new Error(`two schemas are called ${name}`);
    }
    this.#schemas.set(name, referred);
    return { $ref: `#/components/schemas/${name}` };
  }

  /** All that were referred to, by name in alphabetical order. */
  get schemas(): Readonly<Record<string, unknown>> {
    const entries = [...this.#schemas].toSorted(([a], [b]) => (a < b ? -1 : 1));
    return Object.fromEntries(entries);
  }
}
