/**
 * Collects the chunks of one request body into one ArrayBuffer. Until somebody asks for the body at most the
 * first chunk is kept and the sender is paused, so that a refused request costs no memory.
 */
import { MillraceError, toMillraceError } from '../../errors.ts';

export interface BodyFlow {
  pause(): void;
  resume(): void;
}

interface Reader {
  readonly maxBytes: number;
  readonly onBytes: ((byteCount: number) => void) | undefined;
  readonly resolve: (body: ArrayBuffer) => void;
  readonly reject: (error: MillraceError) => void;
}

/** What the memory for a body of declared length begins with; it doubles as bytes arrive, up to that length. */
const FIRST_BYTES = 65_536;

/**
 * Modes: `waiting` (no reader: one chunk kept, sender paused) → `reading` → `discarding` (refused or answered:
 * bytes are dropped). A declared length is where the memory ends up, not where it begins: it may never be sent.
 */
export class BodyCollector {
  readonly #declaredBytes: number | undefined;
  readonly #flow: BodyFlow;
  #chunks: Uint8Array[] = [];
  #target: Uint8Array<ArrayBuffer> | undefined;
  #byteCount = 0;
  #reader: Reader | undefined;
  #isComplete = false;
  #isDiscarding = false;
  #isPaused = false;
  #onComplete: (() => void) | undefined;

  /** `declaredBytes`: the Content-Length; undefined for a chunked body. */
  constructor(declaredBytes: number | undefined, flow: BodyFlow) {
    this.#declaredBytes = declaredBytes;
    this.#flow = flow;
    this.#isComplete = declaredBytes === 0;
  }

  get isComplete(): boolean {
    return this.#isComplete;
  }

  read(maxBytes: number, onBytes?: (byteCount: number) => void): Promise<ArrayBuffer> {
    return new Promise((resolve, reject) => {
      if (this.#reader !== undefined || this.#isDiscarding) {
        reject(new MillraceError('internal', 'The body of a request can be read only once.'));
        return;
      }
      this.#reader = { maxBytes, onBytes, resolve, reject };
      if (Math.max(this.#byteCount, this.#declaredBytes ?? 0) > maxBytes) {
        this.#refuseSize();
        return;
      }
      if (this.#declaredBytes !== undefined) {
        this.#target = new Uint8Array(Math.min(this.#declaredBytes, FIRST_BYTES));
      }
      const early = this.#chunks;
      this.#chunks = [];
      this.#byteCount = 0;
      for (const chunk of early) this.#take(chunk);
      if (this.#isComplete) this.#finish();
      else this.#unpause();
    });
  }

  /** `chunk` is copied: it may be void after the call. */
  push(chunk: Uint8Array, isLast: boolean): void {
    if (isLast) this.#isComplete = true;
    if (!this.#isDiscarding) {
      if (this.#reader === undefined) this.#keepEarly(chunk, isLast);
      else if (this.#byteCount + chunk.byteLength > this.#reader.maxBytes) this.#refuseSize();
      else this.#take(chunk);
    }
    if (isLast) {
      this.#finish();
      // What comes next on the connection is another request.
      this.#unpause();
      this.#onComplete?.();
    }
  }

  /** There will be no body: whoever waits for it gets the error. Bytes that still come are dropped. */
  fail(error: MillraceError): void {
    this.#isDiscarding = true;
    this.#chunks = [];
    this.#target = undefined;
    this.#reader?.reject(error);
  }

  /** From now on bytes are dropped; `onComplete` is called with the last one, at once if it has passed. */
  discard(onComplete: () => void): void {
    this.#isDiscarding = true;
    this.#chunks = [];
    this.#target = undefined;
    if (this.#isComplete) {
      onComplete();
      return;
    }
    this.#onComplete = onComplete;
    this.#unpause();
  }

  #keepEarly(chunk: Uint8Array, isLast: boolean): void {
    this.#chunks.push(chunk.slice());
    this.#byteCount += chunk.byteLength;
    if (isLast || this.#isPaused) return;
    this.#isPaused = true;
    this.#flow.pause();
  }

  #take(chunk: Uint8Array): void {
    if (this.#isDiscarding) return;
    try {
      this.#reader?.onBytes?.(chunk.byteLength);
    } catch (error) {
      this.fail(toMillraceError(error));
      return;
    }
    this.#keep(chunk);
  }

  #keep(chunk: Uint8Array): void {
    const endBytes = this.#byteCount + chunk.byteLength;
    if (this.#target === undefined) this.#chunks.push(chunk.slice());
    else this.#targetFor(this.#target, endBytes).set(chunk, this.#byteCount);
    this.#byteCount = endBytes;
  }

  #targetFor(target: Uint8Array<ArrayBuffer>, endBytes: number): Uint8Array {
    if (endBytes <= target.byteLength) return target;
    const { byteLength: oldBytes } = target;
    const newBytes = Math.min(this.#declaredBytes ?? Infinity, Math.max(endBytes, 2 * oldBytes));
    // More than was declared: the servers' parsers end a body at its declared length.
    if (newBytes < endBytes) throw new MillraceError('internal', 'A body is longer than its Content-Length.');
    const grown = new Uint8Array(newBytes);
    grown.set(target);
    this.#target = grown;
    return grown;
  }

  #finish(): void {
    if (this.#reader === undefined || this.#isDiscarding) return;
    this.#isDiscarding = true;
    this.#reader.resolve((this.#target ?? concatenate(this.#chunks, this.#byteCount)).buffer);
    this.#chunks = [];
    this.#target = undefined;
  }

  #refuseSize(): void {
    this.#isDiscarding = true;
    this.#chunks = [];
    this.#target = undefined;
    const limit = this.#reader?.maxBytes ?? 0;
    this.#reader?.reject(
      new MillraceError('payload_too_large', `The body is larger than the limit of ${limit} bytes.`),
    );
  }

  #unpause(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#flow.resume();
  }
}

/** In memory of its own, which may be moved. */
export function concatenate(chunks: readonly Uint8Array[], byteCount: number): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(byteCount);
  let position = 0;
  for (const chunk of chunks) {
    whole.set(chunk, position);
    position += chunk.byteLength;
  }
  return whole;
}
