/**
 * A direct source: bodies are framed into record batches by the pool, get offsets of a lane of their own, and
 * are answered after storage. Bodies that arrive while a framing task runs are framed together in the next.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { MillraceError, toMillraceError } from '../errors.ts';
import type { Arena, Stretch } from './arena.ts';
import type { ChunkOutcome } from './chunk.ts';
import type { Coordinator } from './coordinator.ts';
import type { IngestOptions, IngestOutcome } from './ingest-port.ts';
import type { Lane } from './lane.ts';
import {
  cutBatches,
  MAX_LISTED_REJECTIONS,
  type OpenBody,
  placeBodies,
  type SubmittedBody,
  storedOutcome,
  unframedOutcome,
} from './open-body.ts';
import type { ParsePool } from './parse-pool.ts';
import type { BodyFormat, FrameBody, FrameResult } from './parse-protocol.ts';
import type { Clock, LaneToken } from './ports.ts';

export interface DirectSourcePorts {
  readonly arena: Arena;
  readonly coordinator: Coordinator;
  readonly pool: ParsePool;
  readonly clock: Clock;
  /** A reason not to take anything now, such as a full disk. */
  readonly refusal: () => MillraceError | undefined;
  /** A lane that nobody had before, claimed. `onLost` is called when somebody else takes it. */
  readonly openLane: (onLost: () => void) => Promise<Lane>;
  /**
   * Set: told where the rows of the bodies are to lie before any of them is stored. Answers, body by body, why they must
   * not be; offsets that were told once are never given to another body.
   */
  readonly reserve?: (
    token: LaneToken,
    bodies: readonly OpenBody[],
  ) => Promise<readonly (MillraceError | undefined)[]>;
}

interface WaitingBody extends SubmittedBody {
  readonly stretch: Stretch;
  readonly frame: FrameBody;
}

interface SubmitOptions extends IngestOptions {
  /** Record time, milliseconds since the epoch; default: now. */
  readonly receivedMs?: number;
}

const FIRST_BACKOFF_MS = 100;
const MAX_BACKOFF_MS = 5000;
/** How long a body may wait for memory before it is answered with 429. */
const MEMORY_WAIT_MS = 5000;
/** Bodies framed by one task, in bytes; more wait for the next. */
const FRAME_TASK_BYTES = 1024 * 1024;

/**
 * Modes: `open`; `without lane` (before `start`, and after its lane was lost until it has another: bodies are answered
 * with `lane_closed`) and `closed` (every body waiting or open is answered with `shutting_down`). `#waiting` holds
 * bodies in the arena, so the arena bounds it; `#open` holds only coordinates and answers.
 */
export class DirectSource {
  readonly #ports: DirectSourcePorts;
  #lane: Lane | undefined;
  #waiting: WaitingBody[] = [];
  readonly #open: OpenBody[] = [];
  #isFraming = false;
  #framingCount = 0;
  /** Offsets of the lane below this were told to `reserve`. */
  #reservedOffset = 0;
  #isClosed = false;

  constructor(ports: DirectSourcePorts) {
    this.#ports = ports;
  }

  /** Opens the lane; rejects with what keeps it from that. */
  async start(): Promise<void> {
    this.#lane = await this.#ports.openLane(() => void this.#replaceLane());
  }

  /** Bodies accepted and not yet answered. */
  get inFlightCount(): number {
    return this.#waiting.length + this.#framingCount + this.#open.length;
  }

  async submit(
    body: ArrayBuffer,
    format: BodyFormat,
    { key, scope, receivedMs = this.#ports.clock.now() }: SubmitOptions = {},
  ): Promise<IngestOutcome> {
    const refusal = this.#refusal();
    if (refusal !== undefined) return failure(refusal);
    const stretch = await this.#take(body.byteLength);
    if (stretch === undefined) {
      return failure(
        new MillraceError('too_many_requests', 'The body was not taken: buffers are full, try again.'),
      );
    }
    new Uint8Array(stretch.memory, stretch.start, stretch.length).set(new Uint8Array(body));
    const frame: FrameBody = { ...stretch, format, receivedMs, scope };
    return await new Promise((answer) => {
      this.#waiting.push({ stretch, frame, key, receivedMs, answer });
      void this.#frame();
    });
  }

  #refusal(): MillraceError | undefined {
    if (this.#isClosed) return shuttingDown();
    return this.#lane === undefined ? withoutLane() : this.#ports.refusal();
  }

  close(): void {
    this.#isClosed = true;
    for (const { stretch, answer } of this.#waiting) {
      this.#ports.arena.release(stretch);
      answer(failure(shuttingDown()));
    }
    for (const { answer } of this.#open) answer(failure(unanswered()));
    this.#waiting = [];
    this.#open.length = 0;
  }

  /** What the lost lane had in flight is perhaps stored and perhaps not: whoever sent it must send it again. */
  async #replaceLane(): Promise<void> {
    this.#lane = undefined;
    this.#reservedOffset = 0;
    for (const { answer } of this.#open.splice(0)) answer(failure(withoutLane()));
    for (let attempt = 0; !this.#isClosed && this.#lane === undefined; attempt++) {
      await delay(Math.min(MAX_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** attempt));
      await this.start().catch(() => undefined);
    }
  }

  async #take(length: number): Promise<Stretch | undefined> {
    const { arena, clock } = this.#ports;
    const endMs = clock.steady() + MEMORY_WAIT_MS;
    for (;;) {
      if (this.#isClosed) return undefined;
      const stretch = arena.tryTake(length);
      if (stretch !== undefined) return stretch;
      const remainingMs = endMs - clock.steady();
      if (remainingMs <= 0) return undefined;
      await arena.released(remainingMs);
    }
  }

  async #frame(): Promise<void> {
    if (this.#isFraming) return;
    this.#isFraming = true;
    while (this.#waiting.length > 0) {
      const bodies = this.#takeBodies();
      const submitted: readonly SubmittedBody[] = [...bodies];
      this.#framingCount = bodies.length;
      try {
        const result = await this.#ports.pool.frame({
          kind: 'frame',
          bodies: bodies.map(({ frame }) => frame),
        });
        // The result is a copy: the bodies make room for it.
        for (const { stretch } of bodies.splice(0)) this.#ports.arena.release(stretch);
        await this.#framed(submitted, result);
      } catch (error) {
        const outcome = failure(toMillraceError(error));
        for (const { answer } of submitted) answer(outcome);
      } finally {
        for (const { stretch } of bodies) this.#ports.arena.release(stretch);
        this.#framingCount = 0;
      }
    }
    this.#isFraming = false;
  }

  #takeBodies(): WaitingBody[] {
    let count = 0;
    let bytes = 0;
    for (const { stretch } of this.#waiting) {
      if (count > 0 && bytes + stretch.length > FRAME_TASK_BYTES) break;
      bytes += stretch.length;
      count++;
    }
    return this.#waiting.splice(0, count);
  }

  async #framed(submitted: readonly SubmittedBody[], result: FrameResult): Promise<void> {
    const lane = this.#lane;
    if (lane === undefined) throw withoutLane();
    const fromOffset = Math.max(lane.takenOffset, this.#reservedOffset);
    const placed = placeBodies(submitted, result.bodies, fromOffset);
    for (const { framed, answer } of placed) if (framed.recordCount === 0) answer(unframedOutcome(framed));
    const bodies = await this.#reserve(
      lane,
      placed.filter(({ framed }) => framed.recordCount > 0),
    );
    const toOffset = bodies.at(-1)?.toOffset;
    if (toOffset === undefined) return;
    const batches = cutBatches(result.batches, placed, bodies);
    const stretch = await this.#take(batches.byteLength);
    if (stretch === undefined) {
      throw new MillraceError('too_many_requests', 'The body was not taken: buffers are full, try again.');
    }
    if (lane.isClosed) {
      this.#ports.arena.release(stretch);
      throw withoutLane();
    }
    this.#open.push(...bodies);
    new Uint8Array(stretch.memory, stretch.start, stretch.length).set(new Uint8Array(batches));
    rebaseOffsets(stretch, fromOffset);
    this.#ports.coordinator.submit(lane, {
      stretch,
      fromOffset: bodies[0]?.fromOffset ?? fromOffset,
      toOffset,
      receivedUs: this.#ports.clock.now() * 1000,
      onStored: (outcome, storedTo) => this.#stored(lane, outcome, storedTo),
    });
  }

  /** The bodies that may be stored; the others are answered. */
  async #reserve(lane: Lane, bodies: readonly OpenBody[]): Promise<readonly OpenBody[]> {
    const { reserve } = this.#ports;
    if (reserve === undefined || bodies.length === 0) return bodies;
    this.#reservedOffset = bodies.at(-1)?.toOffset ?? 0;
    const refusals = await reserve(lane.token, bodies);
    return bodies.filter(({ answer }, i) => {
      const refusal = refusals[i];
      if (refusal !== undefined) answer(failure(refusal));
      return refusal === undefined;
    });
  }

  /** Parts of the lane are stored in offset order: answers every body that ends at or before `storedTo`. */
  #stored(lane: Lane, outcome: ChunkOutcome, storedTo: number): void {
    for (const offset of outcome.deadLetterOffsets) {
      const body = this.#bodyAt(offset);
      if (body !== undefined) body.rejectedCount++;
    }
    for (const note of outcome.deadLetterNotes) {
      const body = this.#bodyAt(note.offset);
      if (body !== undefined && body.notes.length < MAX_LISTED_REJECTIONS) body.notes.push(note);
    }
    while (this.#open[0] !== undefined && this.#open[0].toOffset <= storedTo) {
      const body = this.#open.shift();
      if (body !== undefined) body.answer(storedOutcome(body, lane.spec));
    }
  }

  #bodyAt(offset: number): OpenBody | undefined {
    return this.#open.find((body) => offset >= body.fromOffset && offset < body.toOffset);
  }
}

/** Base offsets of framed batches start at 0: moves each batch of the stretch by `fromOffset`. */
function rebaseOffsets({ memory, start, length }: Stretch, fromOffset: number): void {
  const view = new DataView(memory, start, length);
  for (let position = 0; position + BATCH_OVERHEAD_BYTES <= length; ) {
    view.setBigInt64(position, view.getBigInt64(position) + BigInt(fromOffset));
    position += BATCH_OVERHEAD_BYTES + view.getInt32(position + 8);
  }
}

/** Base offset (8 bytes) and batch length (4 bytes) come before what the length counts. */
const BATCH_OVERHEAD_BYTES = 12;

function shuttingDown(): MillraceError {
  return new MillraceError('shutting_down', 'The body was not taken: the program is stopping.');
}

function unanswered(): MillraceError {
  return new MillraceError('shutting_down', 'The program is stopping; the body may have been stored.');
}

function withoutLane(): MillraceError {
  return new MillraceError(
    'lane_closed',
    'The body was not acknowledged: another process took over its lane. Send it again.',
  );
}

function failure(error: MillraceError): IngestOutcome {
  return { kind: 'failed', code: error.code, message: error.message };
}
