/**
 * One change of a versioned thing that other programs may change at the same time: what each of them changed stays.
 */
import { MillraceError } from '../errors.ts';

interface Versioned {
  readonly version: number;
}

export interface JoiningTable<Fields, Row extends Fields & Versioned> {
  /** What the thing is called, for the error. */
  readonly noun: string;
  /** Rows above the version, in the order of versions. */
  readonly since: (version: number) => Promise<readonly Row[]>;
  /** Adds a version above `before`. */
  readonly write: (fields: Fields, before: number) => Promise<Row>;
  /** Those fields of `to` that are not as in `from`. */
  readonly changes: (from: Fields, to: Fields) => Partial<Fields>;
}

/** Rows of other programs that are looked at for one change, and how often one is joined with them. */
export const MAX_JOINED = 1000;
const MAX_JOINS = 10;

/**
 * Adds `next`, made of `row`, and joins it with what other programs wrote since `row` was read: each of the fields is
 * as it was last changed. The row that counts then. `store_unavailable` when others change the thing all the time.
 */
export async function writeJoined<Fields, Row extends Fields & Versioned>(
  { row, next }: { readonly row: Row; readonly next: Fields },
  { noun, since, write, changes }: JoiningTable<Fields, Row>,
): Promise<Row> {
  const own = await write(next, row.version);
  for (let joins = 0; joins < MAX_JOINS; joins++) {
    const others = await since(row.version);
    const newest = others.at(-1);
    if (newest === undefined) return own;
    const joined = others.reduce<Fields>((sum, other) => ({ ...sum, ...changes(row, other) }), row);
    if (Object.keys(changes(joined, newest)).length === 0) return newest;
    await write(joined, newest.version);
  }
  throw new MillraceError('store_unavailable', `The ${noun} is being changed by others: try again.`);
}
