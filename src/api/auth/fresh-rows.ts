/**
 * The rows of a small table as read last, so that requests do not query for themselves.
 */
import { MillraceError } from '../../errors.ts';

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

/** From this age on the rows are read again, while requests go on with what is there. */
const REFRESH_AFTER_MS = 4000;
/** From this age on a request waits for that. */
const MAX_AGE_MS = 8000;
/** A read that takes longer has failed; with the age above it stays within ten seconds. */
const READ_TIMEOUT_MS = 2000;
/** Between two reads when the first failed. */
const RETRY_MS = 4000;

/**
 * Holds what `read` gives and no more: no request makes it grow. At most one read is under way. While the table
 * cannot be read the last answer counts.
 */
export class FreshRows<Row extends Versioned> {
  readonly #ports: FreshRowsPorts<Row>;
  #rows = new Map<string, Row>();
  /** Rows that were written or seen here since the last read began: what it gives may be older. */
  #learned = new Map<string, Row>();
  #isLoaded = false;
  #loadedMs = Number.NEGATIVE_INFINITY;
  #triedMs = Number.NEGATIVE_INFINITY;
  #refreshing: Promise<void> | undefined;

  constructor(ports: FreshRowsPorts<Row>) {
    this.#ports = ports;
  }

  /** A row that this process has just written or read. */
  learn(key: string, row: Row): void {
    this.#learned.set(key, row);
    this.#rows.set(key, row);
  }

  /** Rejects with `store_unavailable` before the first answer: then nobody knows what may be done. */
  async get(key: string): Promise<Row | undefined> {
    await this.#refresh();
    return this.#row(key);
  }

  /** The same from a read that begins now, unless the last one began less than `gapMs` ago. */
  async getAnew(key: string, gapMs: number): Promise<Row | undefined> {
    await this.#refreshing;
    const nowMs = this.#ports.now();
    if (distance(nowMs, this.#triedMs) >= gapMs) {
      this.#refreshing ??= this.#load(nowMs);
      await this.#refreshing;
    }
    return this.#row(key);
  }

  #row(key: string): Row | undefined {
    if (this.#isLoaded) return this.#rows.get(key);
    throw new MillraceError('store_unavailable', 'What this user or key may do could not be read.');
  }

  async #refresh(): Promise<void> {
    const nowMs = this.#ports.now();
    const ageMs = distance(nowMs, this.#loadedMs);
    if (ageMs < REFRESH_AFTER_MS) return;
    if (this.#refreshing === undefined) {
      if (distance(nowMs, this.#triedMs) < RETRY_MS) return;
      this.#refreshing = this.#load(nowMs);
    }
    if (ageMs >= MAX_AGE_MS) await this.#refreshing;
  }

  async #load(startedMs: number): Promise<void> {
    this.#triedMs = startedMs;
    this.#learned = new Map();
    try {
      const rows = new Map(await this.#ports.read(AbortSignal.timeout(READ_TIMEOUT_MS)));
      for (const [key, row] of this.#learned) {
        if (row.version > (rows.get(key)?.version ?? 0)) rows.set(key, row);
      }
      this.#rows = rows;
      this.#isLoaded = true;
      this.#loadedMs = startedMs;
    } catch (error) {
      this.#ports.onFailure(error);
    } finally {
      this.#refreshing = undefined;
    }
  }
}

/** A clock that was set back must not make old answers look fresh. */
function distance(aMs: number, bMs: number): number {
  return Math.abs(aMs - bMs);
}
