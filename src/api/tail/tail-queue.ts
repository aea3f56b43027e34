/**
 * Logs and gaps that wait for one client, in order. What does not fit is counted into a gap in its place.
 */
import type { HeldText, QueueBudget } from './queue-budget.ts';
import type { Gap } from './tail-event.ts';
import type { TailMark } from './tail-mark.ts';

export interface QueueLimits {
  readonly maxLogs: number;
  /** UTF-16 units of the texts, which tails with the same filter share. */
  readonly maxCharacters: number;
}

export interface QueueOptions extends QueueLimits {
  /** Of all queues together. */
  readonly budget: QueueBudget;
}

export interface OpenGap extends Gap {
  /** What who was told of the gap has, or lacks for good. */
  readonly mark: TailMark;
}

interface WaitingLog {
  readonly kind: 'log';
  readonly held: HeldText;
  readonly timestampUs: number;
  readonly mark: TailMark;
}

type Item = WaitingLog | { readonly kind: 'gap'; readonly gap: OpenGap };

/** Characters that are handed to the server at once. */
const CHUNK_CHARACTERS = 65_536;

export class TailQueue {
  readonly #options: QueueOptions;
  #items: Item[] = [];
  #logCount = 0;
  #characters = 0;

  constructor(options: QueueOptions) {
    this.#options = options;
    options.budget.open(this);
  }

  get isEmpty(): boolean {
    return this.#items.length === 0;
  }

  get characters(): number {
    return this.#characters;
  }

  addLog(log: Omit<WaitingLog, 'kind'>): void {
    const { maxLogs, maxCharacters, budget } = this.#options;
    const { held, timestampUs, mark } = log;
    // One log is always taken, however long it is.
    const hasRoom =
      this.#logCount === 0 ||
      (this.#logCount < maxLogs && this.#characters + held.text.length <= maxCharacters);
    if (!hasRoom) return this.addGap({ count: 1, fromUs: timestampUs, toUs: timestampUs, mark });
    this.#items.push({ kind: 'log', ...log });
    this.#logCount++;
    this.#characters += held.text.length;
    budget.hold(held);
    budget.trim();
  }

  /** Becomes one with a gap that it follows. */
  addGap(gap: OpenGap): void {
    const last = this.#items.at(-1);
    if (last?.kind === 'gap') this.#items.pop();
    this.#items.push({ kind: 'gap', gap: last?.kind === 'gap' ? joinGaps(last.gap, gap) : gap });
  }

  /** The next events as text, which are forgotten here. */
  take(gapText: (gap: OpenGap) => string): string {
    let text = '';
    let count = 0;
    for (const item of this.#items) {
      if (text.length >= CHUNK_CHARACTERS) break;
      text += item.kind === 'log' ? item.held.text : gapText(item.gap);
      if (item.kind === 'log') this.#forget(item);
      count++;
    }
    this.#items = this.#items.slice(count);
    return text;
  }

  shed(): void {
    const keptCharacters = Math.floor(this.#characters / 2);
    let shed: OpenGap | undefined;
    while (this.#characters > keptCharacters) {
      const item = this.#items.pop();
      if (item === undefined) break;
      const gap = item.kind === 'log' ? gapOf(item) : item.gap;
      shed = shed === undefined ? gap : joinGaps(gap, shed);
      if (item.kind === 'log') this.#forget(item);
    }
    if (shed !== undefined) this.addGap(shed);
  }

  /** Nothing more is added or taken. */
  close(): void {
    for (const item of this.#items) if (item.kind === 'log') this.#forget(item);
    this.#items = [];
    this.#options.budget.close(this);
  }

  #forget({ held }: WaitingLog): void {
    this.#logCount--;
    this.#characters -= held.text.length;
    this.#options.budget.release(held);
  }
}

function gapOf({ timestampUs, mark }: WaitingLog): OpenGap {
  return { count: 1, fromUs: timestampUs, toUs: timestampUs, mark };
}

/** `after` follows `before`. */
function joinGaps(before: OpenGap, after: OpenGap): OpenGap {
  return {
    count: before.count + after.count,
    fromUs: Math.min(before.fromUs, after.fromUs),
    toUs: Math.max(before.toUs, after.toUs),
    mark: after.mark,
  };
}
