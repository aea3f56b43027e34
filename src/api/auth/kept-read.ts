/**
 * The last answer of a small query that many requests go by, read again as it ages: requests do not query for
 * themselves, and go on with what is there for a while when ClickHouse cannot be asked.
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
  /** Above this age there is no answer any more. Default: a minute. */
  readonly goodForMs?: number;
}

/** A read that takes longer has failed. */
const READ_TIMEOUT_MS = 2000;
const GOOD_FOR_MS = 60_000;
/** Between two reads for age when the first failed. */
const RETRY_MS = 4000;
/** Between two reads that `renew` asked for. */
const MIN_GAP_MS = 500;

/** What went wrong, if anything did. */
interface Outcome {
  readonly error?: unknown;
}

/** At most one read is under way, and at most one more is waited for. */
export class KeptRead<T> {
  readonly #options: KeptReadOptions<T>;
  #value: T | undefined;
  #loadedMs = Number.NEGATIVE_INFINITY;
  #triedMs = Number.NEGATIVE_INFINITY;
  /** Never rejects. */
  #reading: Promise<Outcome> | undefined;
  /** Of the last read. */
  #outcome: Outcome = {};
  #next: Promise<void> | undefined;

  constructor(options: KeptReadOptions<T>) {
    this.#options = options;
  }

  /** Undefined before the first answer, and when the last one is too old. Never rejects. */
  async get(): Promise<T | undefined> {
    const { now, refreshAfterMs, maxAgeMs } = this.#options;
    const ageMs = distance(now(), this.#loadedMs);
    if (ageMs < refreshAfterMs) return this.#value;
    const isTriedJustNow = distance(now(), this.#triedMs) < RETRY_MS;
    if (this.#reading === undefined && !isTriedJustNow) void this.#start();
    if (ageMs >= maxAgeMs) await this.#reading;
    const goodForMs = this.#options.goodForMs ?? GOOD_FOR_MS;
    return distance(now(), this.#loadedMs) > goodForMs ? undefined : this.#value;
  }

  /** The same from a read that begins now, unless the last one began less than `gapMs` ago; rejects as that did. */
  async getAnew(gapMs: number): Promise<T | undefined> {
    await this.#reading;
    if (distance(this.#options.now(), this.#triedMs) >= gapMs) await this.#start();
    const { error } = this.#outcome;
    if (error !== undefined) throw error;
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

  #start(): Promise<Outcome> {
    this.#reading ??= this.#load(this.#options.now());
    return this.#reading;
  }

  async #load(startedMs: number): Promise<Outcome> {
    this.#triedMs = startedMs;
    try {
      this.#value = await this.#options.read(AbortSignal.timeout(READ_TIMEOUT_MS));
      this.#loadedMs = startedMs;
      this.#outcome = {};
    } catch (error) {
      this.#options.onFailure(error);
      this.#outcome = { error };
    } finally {
      this.#reading = undefined;
    }
    return this.#outcome;
  }
}

/** A clock that was set back must not make old answers look fresh. */
function distance(aMs: number, bMs: number): number {
  return Math.abs(aMs - bMs);
}
