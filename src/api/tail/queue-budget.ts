/**
 * One bound for what waits in the queues of all live tails: beyond it the fullest, whose clients are the slowest, give
 * up what came last.
 */

/** At most, whatever the characters are. */
const BYTES_PER_CHARACTER = 2;
/** Down to what part of the bound queues are cut, so that not every log cuts them anew. */
const KEPT_PART = 7 / 8;

export interface BoundedQueue {
  /** UTF-16 units that wait. */
  readonly characters: number;
  /** Gives up the later half, at least one log. */
  shed(): void;
}

/** A text in as many queues as hold it: it counts once. */
export class HeldText {
  readonly text: string;
  holderCount = 0;

  constructor(text: string) {
    this.text = text;
  }
}

export class QueueBudget {
  readonly #maxBytes: number;
  readonly #queues = new Set<BoundedQueue>();
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get heldBytes(): number {
    return this.#bytes;
  }

  open(queue: BoundedQueue): void {
    this.#queues.add(queue);
  }

  close(queue: BoundedQueue): void {
    this.#queues.delete(queue);
  }

  hold(held: HeldText): void {
    if (held.holderCount++ === 0) this.#bytes += BYTES_PER_CHARACTER * held.text.length;
  }

  release(held: HeldText): void {
    if (--held.holderCount === 0) this.#bytes -= BYTES_PER_CHARACTER * held.text.length;
  }

  /** After something was added. */
  trim(): void {
    if (this.#bytes <= this.#maxBytes) return;
    while (this.#bytes > this.#maxBytes * KEPT_PART) {
      const fullest = this.#fullest();
      if (fullest === undefined) return;
      fullest.shed();
    }
  }

  #fullest(): BoundedQueue | undefined {
    let fullest: BoundedQueue | undefined;
    for (const queue of this.#queues) if (queue.characters > (fullest?.characters ?? 0)) fullest = queue;
    return fullest;
  }
}
