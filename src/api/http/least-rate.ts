/**
 * Tells a client that takes next to nothing of what waits for it from one that is slow.
 */

/** Only time counts in which data wait for the client, not the time in which there are none. */
const WINDOW_MS = 60_000;
const LEAST_BYTES = 65_536;

export class LeastRate {
  #waitedMs = 0;
  #takenBytes = 0;

  /** `bytes` were taken after `waitedMs`. False: so little over a window that the client should be cut off. */
  took(bytes: number, waitedMs: number): boolean {
    this.#takenBytes += bytes;
    this.#waitedMs += waitedMs;
    if (this.#waitedMs < WINDOW_MS) return true;
    const isEnough = this.#takenBytes >= LEAST_BYTES;
    this.#waitedMs = 0;
    this.#takenBytes = 0;
    return isEnough;
  }
}
