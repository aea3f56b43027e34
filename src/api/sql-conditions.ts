/**
 * A WHERE clause in the making: conditions joined by AND, with every value as a parameter.
 */

/** A ClickHouse type, a constant of the program, and a value of it. */
export type SqlValue = readonly [type: string, value: unknown];

export class SqlConditions {
  readonly #conditions: string[] = [];
  readonly #params: Record<string, unknown> = {};
  readonly #prefix: string;
  #count = 0;

  /** `prefix` keeps the parameters of two clauses of one statement apart. */
  constructor(prefix = 'p') {
    this.#prefix = prefix;
  }

  /** `sql`, made of constants of the program too, has `?1`, `?2`, … where the values belong. */
  add(sql: string, ...values: readonly SqlValue[]): void {
    this.#conditions.push(this.expression(sql, ...values));
  }

  /** Like `add`, for a part of a condition: with its parameters, it is a constant of the program again. */
  expression(sql: string, ...values: readonly SqlValue[]): string {
    const places = values.map(([type, value]) => {
      const name = `${this.#prefix}${this.#count++}`;
      this.#params[name] = value;
      return `{${name}:${type}}`;
    });
    return sql.replaceAll(/\?(\d)/g, (_, digit: string) => places[Number(digit) - 1] ?? '');
  }

  get sql(): string {
    return this.#conditions.length === 0 ? '1' : this.#conditions.map((sql) => `(${sql})`).join(' AND ');
  }

  get params(): Readonly<Record<string, unknown>> {
    return this.#params;
  }
}
