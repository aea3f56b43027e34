/**
 * What waits for one client of a live tail: a bounded queue of events, and the exact count of what had no room.
 */
import type { MillraceError } from '../../errors.ts';
import { formatTime } from '../time-input.ts';
import { HeldText } from './queue-budget.ts';
import { eventText, type Gap, logEvent } from './tail-event.ts';
import { covers, isWithin, joinMarks, type TailMark, type TailPosition } from './tail-mark.ts';
import { type QueueOptions, TailQueue } from './tail-queue.ts';

/** One log for all tails with the same filter. */
export interface SharedLog {
  readonly position: TailPosition;
  readonly mark: TailMark;
  /** JSON of the log. */
  readonly data: string;
  /** The event for clients that have nothing beyond the mark. */
  readonly text: HeldText;
}

export interface MemberOptions extends QueueOptions {
  readonly cursor: (mark: TailMark) => string;
  /** What the client has that those who follow here do not have yet; absent: nothing. */
  readonly ahead?: TailMark | undefined;
}

/** What lanes of a mark have was stored this long after its position at most: it lies behind that. */
const AHEAD_S = 600;

/** Modes: open, and ended or refused (nothing more comes; what waits can still be taken). */
export class TailMember {
  readonly #options: MemberOptions;
  readonly #queue: TailQueue;
  #ahead: TailMark | undefined;
  #reached: TailMark | undefined;
  #ended: TailMark | undefined;
  #refused: MillraceError | undefined;
  #wake: (() => void) | undefined;

  constructor(options: MemberOptions) {
    this.#options = options;
    this.#queue = new TailQueue(options);
    this.#ahead = options.ahead;
    this.#reached = options.ahead;
  }

  get isEmpty(): boolean {
    return this.#queue.isEmpty;
  }

  /** What the client has when it has taken all that waits, as far as this queue knows. */
  get reached(): TailMark | undefined {
    return this.#reached;
  }

  /** Set: nothing more comes here, and who has taken all has this. */
  get ended(): TailMark | undefined {
    return this.#ended;
  }

  /** Set: nothing more comes here, and who has taken all is told this. */
  get refused(): MillraceError | undefined {
    return this.#refused;
  }

  push({ position, mark, data, text }: SharedLog): void {
    if (this.#isOver) return;
    const ahead = this.#aheadOf(mark);
    if (ahead !== undefined && covers(ahead, position)) return;
    const own = this.#join(mark);
    this.#reached = own;
    const held = ahead === undefined ? text : new HeldText(logEvent(this.#options.cursor(own), data));
    this.#queue.addLog({ held, timestampUs: position.timestampUs, mark: own });
    this.#wake?.();
  }

  /** The client is told that it lacks logs: as to the mark it has them. */
  skip(gap: Gap, mark: TailMark): void {
    if (this.#isOver) return;
    const own = this.#join(mark);
    this.#reached = own;
    this.#queue.addGap({ ...gap, mark: own });
    this.#wake?.();
  }

  /** Nothing more comes: who took part until now has the mark. */
  end(mark: TailMark): void {
    if (this.#isOver) return;
    this.#ended = this.#join(mark);
    this.#wake?.();
  }

  refuse(error: MillraceError): void {
    if (this.#isOver) return;
    this.#refused = error;
    this.#wake?.();
  }

  /** The next events as text, which are forgotten here. */
  take(): string {
    return this.#queue.take(({ count, fromUs, toUs, mark }) =>
      eventText('gap', this.#options.cursor(mark), {
        count,
        from: formatTime(fromUs),
        to: formatTime(toUs),
      }),
    );
  }

  /** The client has left. */
  close(): void {
    this.#queue.close();
  }

  /** Resolves when there is something to take, at the end, after `ms`, or when the signal is aborted. */
  async wait(ms: number, signal: AbortSignal): Promise<void> {
    if (!this.isEmpty || this.#isOver || signal.aborted) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(done, ms);
      const wake = (this.#wake = done);
      signal.addEventListener('abort', done);
      const forget = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        if (this.#wake === wake) this.#wake = undefined;
      };
      function done(): void {
        forget();
        resolve();
      }
    });
  }

  get #isOver(): boolean {
    return this.#ended !== undefined || this.#refused !== undefined;
  }

  #join(mark: TailMark): TailMark {
    const ahead = this.#aheadOf(mark);
    return ahead === undefined ? mark : joinMarks(ahead, mark);
  }

  /** What the client has beyond the mark; forgotten once the mark has it. */
  #aheadOf(mark: TailMark): TailMark | undefined {
    const ahead = this.#ahead;
    if (ahead === undefined) return undefined;
    const isLongAgo = mark.position.storedS - ahead.position.storedS > AHEAD_S;
    if (isLongAgo || isWithin(ahead, mark)) this.#ahead = undefined;
    return this.#ahead;
  }
}
