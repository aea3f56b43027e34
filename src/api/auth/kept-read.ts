/**
 * The last answer of a small query that many requests go by, read again as it ages: requests do not query for
 * themselves, and go on with what is there while ClickHouse cannot be asked.
 */
import { setTimeout as sleep } from 'node:timers/promises';

export interface KeptReadOptions<T> {
  readonly read: (signal: AbortSignal) => Promise<T>;
  /** Called with what a failed read threw. */
  readonly onFailure: (error: unknown) => void;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** From this age on it is read again, while requests go on with what is there. */
  readonly refreshAfterMs: number;
  /** From this age on a request waits for that. */
  readonly maxAgeMs: number;
}

/** A read that takes longer has failed. */
const READ_TIMEOUT_MS = 2000;
/** Between two reads for age when the first failed. */
const RETRY_MS = 4000;
/** Between two reads that `renew` asked for. */
const MIN_GAP_MS = 500;

/** At most one read is under way, and at most one more is waited for. */
export class KeptRead<T> {
  readonly #options: KeptReadOptions<T>;
  #value: T | undefined;
  #loadedMs = Number.NEGATIVE_INFINITY;
  #triedMs = Number.NEGATIVE_INFINITY;
  /** Never rejects; gives what went wrong. */
  #reading: Promise<{ readonly error?: unknown }> | undefined;
  #next: Promise<void> | undefined;

  constructor(options: KeptReadOptions<T>) {
    this.#options = options;
  }

  /** Undefined before the first answer. Never rejects. */
  async get(): Promise<T | undefined> {
    const { now, refreshAfterMs, maxAgeMs } = this.#options;
    const ageMs = distance(now(), this.#loadedMs);
    if (ageMs < refreshAfterMs) return this.#value;
    const isTriedJustNow = distance(now(), this.#triedMs) < RETRY_MS;
    if (this.#reading === undefined && !isTriedJustNow) void this.#start();
    if (ageMs >= maxAgeMs) await this.#reading;
    return this.#value;
  }

  /** Resolves after a read that began after the call, half a second later at most; rejects when that read failed. */
  async renew(): Promise<void> {
    this.#next ??= this.#readNext();
    await this.#next;
  }

  async #readNext(): Promise<void> {
    const isTooSoon = distance(this.#options.now(), this.#triedMs) < MIN_GAP_MS;
    await sleep(isTooSoon ? MIN_GAP_MS : 0);
    while (this.#reading !== undefined) await this.#reading;
    // Whoever calls from here on needs another read than the one that begins now.
    this.#next = undefined;
    const { error } = await this.#start();
    if (error !== undefined) throw error;
  }

  #start(): Promise<{ readonly error?: unknown }> {
    this.#reading ??= this.#load(this.#options.now());
    return this.#reading;
  }

  async #load(startedMs: number): Promise<{ readonly error?: unknown }> {
    this.#triedMs = startedMs;
    try {
      this.#value = await this.#options.read(AbortSignal.timeout(READ_TIMEOUT_MS));
      this.#loadedMs = startedMs;
      return {};
    } catch (error) {
      this.#options.onFailure(error);
      return { error };
    } finally {
      this.#reading = undefined;
    }
  }
}

/** A clock that was set back must not make old answers look fresh. */
function distance(aMs: number, bMs: number): number {
  return Math.abs(aMs - bMs);
}
