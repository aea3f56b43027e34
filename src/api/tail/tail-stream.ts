/**
 * One client of the live tail, from where it left off to when it leaves: what was stored meanwhile comes out of
 * ClickHouse page by page, as fast as the client reads; then it is handed what the hub shares out.
 */
import type { MillraceError } from '../../errors.ts';
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
const DAY_S = 86_400;
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
      const { after } = this.#task;
      if (after === undefined) {
        if (!(await this.#join(undefined))) return;
        yield HEAD + this.#heartbeat(this.#membership?.mark ?? (await hub.mark()));
      } else {
        yield HEAD + this.#heartbeat(after);
        if (!(yield* this.#missed(yield* this.#passOverOld(after)))) return;
      }
      // Again whenever the hub begins to follow in another way.
      for (let had = yield* this.#live(); had !== undefined; had = yield* this.#live()) {
        if (!(yield* this.#missed(had))) return;
      }
    } finally {
      this.#membership?.release();
      hub.leave();
    }
  }

  /** Day by day, so that who comes back in the middle of it goes on there. */
  async *#passOverOld(after: TailMark): AsyncGenerator<string, TailMark> {
    const { hub } = this.#ports;
    const { signal } = this.#task;
    const oldestS = (await hub.mark()).position.storedS - MAX_RESUME_S;
    let had = after;
    while (had.position.storedS < oldestS && !signal.aborted) {
      const upTo = markAt(startOf(Math.min(oldestS, had.position.storedS + DAY_S)));
      const [gap] = await hub.reader.count({ after: had, upTo }, [this.#group], signal);
      had = joinMarks(had, upTo);
      if (gap === undefined) continue;
      const { count, fromUs, toUs } = gap;
      const data = { count, from: formatTime(fromUs), to: formatTime(toUs) };
      yield eventText('gap', this.#group.cursor(had), data);
    }
    return had;
  }

  /** False: the client has left. A hub that cannot read may let one wait for long. */
  async #join(after: TailMark | undefined): Promise<boolean> {
    const { selection, signal } = this.#task;
    this.#membership?.release();
    this.#membership = undefined;
    const joining = this.#ports.hub.join(selection, after);
    let leave = (): void => undefined;
    const left = new Promise<undefined>((resolve) => {
      leave = () => resolve(undefined);
      signal.addEventListener('abort', leave);
      if (signal.aborted) leave();
    });
    const joined = Promise.race([joining, left]);
    this.#membership = await joined.finally(() => signal.removeEventListener('abort', leave));
    if (this.#membership === undefined) joining.then(({ release }) => release()).catch(() => undefined);
    return this.#membership !== undefined;
  }

  /** What the hub shared out and the client lacks. True: now the client is a member, without a hole. */
  async *#missed(from: TailMark): AsyncGenerator<string, boolean> {
    const { hub } = this.#ports;
    const { signal } = this.#task;
    let after = from;
    while (await this.#join(after)) {
      const { mark, release } = this.#membership as TailMembership;
      if (isWithin(mark, after)) return true;
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
      if (!isJoined) release();
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
      const isOpen = member.ended === undefined && member.refused === undefined;
      if (performance.now() >= this.#nextCheckMs && isOpen) {
        if (!(await this.#isAllowed())) return undefined;
        yield member.isEmpty ? this.#heartbeat(this.#reached(membership)) : member.take();
        continue;
      }
      const text = member.take();
      if (text !== '') yield text;
      else if (member.ended !== undefined) return member.ended;
      else if (member.refused !== undefined) return yield* this.#refused(membership, member.refused);
      else await member.wait(this.#nextCheckMs - performance.now(), signal);
    }
    return undefined;
  }

  /** The last event of the stream. The hub has gone on since: only what came here counts as had. */
  *#refused(
    { member, mark }: TailMembership,
    { code, message }: MillraceError,
  ): Generator<string, undefined> {
    yield eventText('end', this.#group.cursor(member.reached ?? mark), { code, detail: message });
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
