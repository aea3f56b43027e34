/**
 * What waits for one client of a live tail: a bounded queue of events, and the exact count of what had no room.
 */
import type { MillraceError } from '../../errors.ts';
import { formatTime } from '../time-input.ts';
import { eventText, type Gap, logEvent } from './tail-event.ts';
import { covers, isWithin, joinMarks, type TailMark, type TailPosition } from './tail-mark.ts';

export interface QueueLimits {
  readonly maxLogs: number;
  /** UTF-16 units of the texts, which tails with the same filter share. */
  readonly maxCharacters: number;
}

/** One log for all tails with the same filter. */
export interface SharedLog {
  readonly position: TailPosition;
  readonly mark: TailMark;
  /** JSON of the log. */
  readonly data: string;
  /** The event for clients that have nothing beyond the mark. */
  readonly text: string;
}

export interface MemberOptions extends QueueLimits {
  readonly cursor: (mark: TailMark) => string;
  /** What the client has that those who follow here do not have yet; absent: nothing. */
  readonly ahead?: TailMark | undefined;
}

interface OpenGap extends Gap {
  readonly mark: TailMark;
}

type Item = { readonly kind: 'log'; readonly text: string } | { readonly kind: 'gap'; readonly gap: OpenGap };

/** What lanes of a mark have was stored this long after its position at most: it lies behind that. */
const AHEAD_S = 600;
/** Characters that are handed to the server at once. */
const CHUNK_CHARACTERS = 65_536;

/** Modes: open, and ended or refused (nothing more comes; what waits can still be taken). */
export class TailMember {
  readonly #options: MemberOptions;
  #ahead: TailMark | undefined;
  #reached: TailMark | undefined;
  #ended: TailMark | undefined;
  #refused: MillraceError | undefined;
  #items: Item[] = [];
  #logCount = 0;
  #characters = 0;
  #wake: (() => void) | undefined;

  constructor(options: MemberOptions) {
    this.#options = options;
    this.#ahead = options.ahead;
    this.#reached = options.ahead;
  }

  get isEmpty(): boolean {
    return this.#items.length === 0;
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
    const { maxLogs, maxCharacters, cursor } = this.#options;
    const ahead = this.#aheadOf(mark);
    if (ahead !== undefined && covers(ahead, position)) return;
    const own = this.#join(mark);
    // One log is always taken, however long it is.
    const hasRoom =
      this.#logCount === 0 || (this.#logCount < maxLogs && this.#characters + text.length <= maxCharacters);
    if (!hasRoom) {
      const { timestampUs } = position;
      this.skip({ count: 1, fromUs: timestampUs, toUs: timestampUs }, mark);
      return;
    }
    this.#reached = own;
    const item = ahead === undefined ? text : logEvent(cursor(own), data);
    this.#items.push({ kind: 'log', text: item });
    this.#logCount++;
    this.#characters += item.length;
    this.#wake?.();
  }

  /** The client is told that it lacks logs: as to the mark it has them. */
  skip(gap: Gap, mark: TailMark): void {
    if (this.#isOver) return;
    const own = this.#join(mark);
    this.#reached = own;
    const last = this.#items.at(-1);
    const before = last?.kind === 'gap' ? last.gap : undefined;
    if (before !== undefined) this.#items.pop();
    const joined = {
      count: gap.count + (before?.count ?? 0),
      fromUs: Math.min(gap.fromUs, before?.fromUs ?? gap.fromUs),
      toUs: Math.max(gap.toUs, before?.toUs ?? gap.toUs),
      mark: own,
    };
    this.#items.push({ kind: 'gap', gap: joined });
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
    let text = '';
    let count = 0;
    for (const item of this.#items) {
      if (text.length >= CHUNK_CHARACTERS) break;
      text += this.#textOf(item);
      count++;
      if (item.kind === 'log') {
        this.#logCount--;
        this.#characters -= item.text.length;
      }
    }
    this.#items = this.#items.slice(count);
    return text;
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

  #textOf(item: Item): string {
    if (item.kind === 'log') return item.text;
    const { count, fromUs, toUs, mark } = item.gap;
    return eventText('gap', this.#options.cursor(mark), {
      count,
      from: formatTime(fromUs),
      to: formatTime(toUs),
    });
  }
}
