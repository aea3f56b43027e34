/**
 * Bytes that may be held at once for bodies under way: of all, and of one user or key.
 */
import { MillraceError } from '../../errors.ts';

/** Share of the program's memory budget that bodies have in any case. */
const LEAST_SHARE = 0.1;
const MOST_SHARE = 0.5;
/** The largest form of a body: its encoded bytes, and what they decode to. */
const LARGEST_FORM = 2;
/** So many largest bodies should fit, half of them of one user. */
const WANTED_FORMS = 2;

export interface BudgetLimits {
  readonly capacityBytes: number;
  /** Of one user or key; holds the largest body in its largest form. */
  readonly shareBytes: number;
}

/** What of the program's memory budget bodies may have. */
export function bodyBudgetBytes(maxBodyBytes: number, memoryBudgetBytes: number): number {
  const largestBytes = LARGEST_FORM * maxBodyBytes;
  const wantedBytes = Math.min(WANTED_FORMS * largestBytes, Math.floor(memoryBudgetBytes * MOST_SHARE));
  return Math.max(largestBytes, wantedBytes, Math.floor(memoryBudgetBytes * LEAST_SHARE));
}

export function toBudgetLimits(capacityBytes: number, maxBodyBytes: number): BudgetLimits {
  const shareBytes = Math.max(LARGEST_FORM * maxBodyBytes, Math.floor(capacityBytes / 2));
  return { capacityBytes, shareBytes };
}

export class ByteBudget {
  readonly #limits: BudgetLimits;
  readonly #usedByUser = new Map<string, number>();
  #usedBytes = 0;

  constructor(limits: BudgetLimits) {
    this.#limits = limits;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** Runs `work`, which takes bytes as they arrive; when it has ended they are given back. */
  async spend<T>(username: string, work: (hold: ByteHold) => Promise<T>): Promise<T> {
    const hold = new ByteHold((bytes) => this.#change(username, bytes));
    try {
      return await work(hold);
    } finally {
      hold.giveBack(hold.heldBytes);
    }
  }

  #change(username: string, bytes: number): void {
    const { capacityBytes, shareBytes } = this.#limits;
    const ownBytes = (this.#usedByUser.get(username) ?? 0) + bytes;
    if (bytes > 0 && ownBytes > shareBytes) {
      throw new MillraceError('too_many_requests', 'Too many bodies of yours are under way: try again.');
    }
    if (bytes > 0 && this.#usedBytes + bytes > capacityBytes) {
      throw new MillraceError('too_many_requests', 'Too many bodies are under way: try again.');
    }
    this.#usedBytes += bytes;
    if (ownBytes > 0) this.#usedByUser.set(username, ownBytes);
    else this.#usedByUser.delete(username);
  }
}

/** What one body holds of the budget. */
export class ByteHold {
  readonly #change: (bytes: number) => void;
  #heldBytes = 0;

  constructor(change: (bytes: number) => void) {
    this.#change = change;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Throws `too_many_requests` when so many are not to be had. */
  take(bytes: number): void {
    this.#change(bytes);
    this.#heldBytes += bytes;
  }

  giveBack(bytes: number): void {
    this.#heldBytes -= bytes;
    this.#change(-bytes);
  }
}
