/**
 * One client of the live tail, from where it left off to when it leaves: what was stored meanwhile comes out of
 * ClickHouse page by page, as fast as the client reads; then it is handed what the hub shares out.
 */
import { formatTime } from '../time-input.ts';
import { eventText } from './tail-event.ts';
import { TailGroup, type TailSelection } from './tail-group.ts';
import type { TailHub, TailMembership } from './tail-hub.ts';
import { comparePositions, isWithin, joinMarks, markAt, startOf, type TailMark } from './tail-mark.ts';

export interface TailTask {
  readonly selection: TailSelection;
  /** What the client has; undefined: it wants only what comes from now on. */
  readonly after: TailMark | undefined;
  /** Aborted when the client is gone or the program stops. */
  readonly signal: AbortSignal;
  /** False when the client may not see this any more. */
  readonly isAllowed: () => Promise<boolean>;
}

export interface TailStreamPorts {
  readonly hub: TailHub;
  readonly cursorSecret: Buffer;
  readonly heartbeatMs: number;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** What was stored longer ago is counted, not sent: a tail is no export. */
const MAX_RESUME_S = 3600;
/** One page looks no further, so that the sort of a page is small. */
const SLICE_S = 60;
const PAGE_ROWS = 1000;
/** How long a browser waits before it opens a stream anew that was cut off. */
const HEAD = 'retry: 2000\n\n';

export class TailStream {
  readonly #task: TailTask;
  readonly #ports: TailStreamPorts;
  readonly #group: TailGroup;
  #membership: TailMembership | undefined;
  #nextCheckMs: number;

  constructor(task: TailTask, ports: TailStreamPorts) {
    this.#task = task;
    this.#ports = ports;
    this.#group = new TailGroup(task.selection, ports.cursorSecret);
    this.#nextCheckMs = performance.now() + ports.heartbeatMs;
  }

  /** Events as text. Throws before the first when nobody can be asked. */
  async *events(): AsyncGenerator<string> {
    const { hub } = this.#ports;
    await hub.enter();
    try {
      let after = this.#task.after;
      yield HEAD + this.#heartbeat(after ?? (await hub.mark()));
      if (after !== undefined) after = yield* this.#passOverOld(after);
      do {
        if (!(yield* this.#missed(after))) return;
        after = yield* this.#live();
      } while (after !== undefined);
    } finally {
      this.#membership?.release();
      hub.leave();
    }
  }

  async *#passOverOld(after: TailMark): AsyncGenerator<string, TailMark> {
    const { hub } = this.#ports;
    const { position } = await hub.mark();
    const oldest = joinMarks(after, markAt(startOf(position.storedS - MAX_RESUME_S)));
    if (oldest.position === after.position) return after;
    const range = { after, upTo: markAt(oldest.position) };
    const [gap] = await hub.reader.count(range, [this.#group], this.#task.signal);
    if (gap === undefined) return oldest;
    const { count, fromUs, toUs } = gap;
    const data = { count, from: formatTime(fromUs), to: formatTime(toUs) };
    yield eventText('gap', this.#group.cursor(oldest), data);
    return oldest;
  }

  /** What the hub shared out and the client lacks. True: now the client is a member, without a hole. */
  async *#missed(from: TailMark | undefined): AsyncGenerator<string, boolean> {
    const { hub } = this.#ports;
    const { selection, signal } = this.#task;
    let after = from;
    while (!signal.aborted) {
      this.#membership?.release();
      const { mark } = (this.#membership = await hub.join(selection, after));
      if (after === undefined || isWithin(mark, after)) return true;
      const endS = after.position.storedS + SLICE_S;
      const isLastSlice = comparePositions(mark.position, startOf(endS)) <= 0;
      const { lanes } = after;
      const range = { after, upTo: mark, endS: isLastSlice ? undefined : endS };
      const { logs, hasMore } = await hub.reader.read(range, {
        groups: [this.#group],
        maxRows: PAGE_ROWS,
        markOf: (position) => markAt(position, lanes),
        signal,
      });
      const last = logs.at(-1);
      if (hasMore && last !== undefined) after = last.mark;
      else after = isLastSlice ? joinMarks(after, mark) : markAt(startOf(endS), lanes);
      const isJoined = isLastSlice && !hasMore;
      // What the hub shares out meanwhile is read by the next page.
      if (!isJoined) this.#membership.release();
      if (logs.length > 0) yield logs.map((log) => this.#group.logText(log)).join('');
      if (isJoined) return true;
      if (!(await this.#isAllowed())) return false;
    }
    return false;
  }

  /** Until the client leaves; or what it has when the hub begins to follow in another way. */
  async *#live(): AsyncGenerator<string, TailMark | undefined> {
    const { signal } = this.#task;
    const membership = this.#membership;
    if (membership === undefined) return undefined;
    const { member } = membership;
    while (!signal.aborted) {
      if (performance.now() >= this.#nextCheckMs) {
        if (!(await this.#isAllowed())) return undefined;
        yield member.isEmpty ? this.#heartbeat(this.#reached(membership)) : member.take();
        continue;
      }
      const text = member.take();
      if (text !== '') yield text;
      else if (member.ended !== undefined) return member.ended;
      else await member.wait(this.#nextCheckMs - performance.now(), signal);
    }
    return undefined;
  }

  /** Asks once per heartbeat whether the client may still look, and answers from then on with false if not. */
  async #isAllowed(): Promise<boolean> {
    if (performance.now() < this.#nextCheckMs) return true;
    this.#nextCheckMs = performance.now() + this.#ports.heartbeatMs;
    return await this.#task.isAllowed();
  }

  /** With nothing waiting the client has all that was shared out; of what is being shared out, what was pushed. */
  #reached({ member, markNow }: TailMembership): TailMark {
    const { reached } = member;
    return reached === undefined ? markNow() : joinMarks(reached, markNow());
  }

  #heartbeat(mark: TailMark): string {
    const time = formatTime(this.#ports.now() * 1000);
    return eventText('heartbeat', this.#group.cursor(mark), { time });
  }
}
