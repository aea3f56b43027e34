/**
 * The rows of a small table as read last, and what this process wrote since.
 */
import { MillraceError } from '../../errors.ts';
import { KeptRead } from './kept-read.ts';

interface Versioned {
  readonly version: number;
}

export interface FreshRowsPorts<Row> {
  /** All rows by their key. */
  readonly read: (signal: AbortSignal) => Promise<ReadonlyMap<string, Row>>;
  readonly onFailure: (error: unknown) => void;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** Rows are at most ten seconds old: this age, and the time that a read may take. */
const MAX_AGE_MS = 8000;
const REFRESH_AFTER_MS = 4000;

/** Holds what `read` gives, and rows that are written here: no request makes it grow. */
export class FreshRows<Row extends Versioned> {
  readonly #kept: KeptRead<ReadonlyMap<string, Row>>;
  /** Rows that were written or seen here since the last read began: what it gives may be older. */
  readonly #learned = new Map<string, Row>();

  constructor({ read, onFailure, now }: FreshRowsPorts<Row>) {
    this.#kept = new KeptRead({
      read: async (signal) => {
        const learnedBefore = [...this.#learned];
        const rows = await read(signal);
        for (const [key, row] of learnedBefore) if (this.#learned.get(key) === row) this.#learned.delete(key);
        return rows;
      },
      onFailure,
      now,
      refreshAfterMs: REFRESH_AFTER_MS,
      maxAgeMs: MAX_AGE_MS,
    });
  }

  /** A row that this process has just written or read. */
  learn(key: string, row: Row): void {
    this.#learned.set(key, row);
  }

  /** Rejects with `store_unavailable` without an answer of the last minute: then nobody knows what may be done. */
  async get(key: string): Promise<Row | undefined> {
    return this.#row(key, await this.#kept.get());
  }

  /** The same from a read that begins now, unless the last one began less than `gapMs` ago; rejects as that did. */
  async getAnew(key: string, gapMs: number): Promise<Row | undefined> {
    return this.#row(key, await this.#kept.getAnew(gapMs));
  }

  #row(key: string, rows: ReadonlyMap<string, Row> | undefined): Row | undefined {
    if (rows === undefined) {
      throw new MillraceError('store_unavailable', 'What this user or key may do could not be read.');
    }
    const row = rows.get(key);
    const learned = this.#learned.get(key);
    return learned !== undefined && learned.version > (row?.version ?? 0) ? learned : row;
  }
}
