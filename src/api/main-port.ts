/**
 * The API thread's end of the way to the main thread: bodies, snapshots and telemetry go out, answers come back.
 */
import type { MessagePort } from 'node:worker_threads';
import { fromPlainError, MillraceError } from '../errors.ts';
import type { FromApi, ToApi } from '../pipeline/api-protocol.ts';
import type { IngestOptions, IngestOutcome, IngestPort } from '../pipeline/ingest-port.ts';
import type { BodyFormat } from '../pipeline/parse-protocol.ts';
import type { SnapshotKind, StatusPort, StatusSnapshots } from '../pipeline/status-port.ts';
import type { StoredNews, StoredPort } from '../pipeline/stored-port.ts';
import type { InternalEventName, Telemetry, TelemetryFields } from '../telemetry.ts';

interface WaitingSnapshot {
  readonly resolve: (value: StatusSnapshots[SnapshotKind]) => void;
  readonly reject: (error: MillraceError) => void;
}

type Answer = Extract<ToApi, { kind: 'ingest_answer' | 'snapshot_answer' | 'stored' }>;

const SNAPSHOT_WAIT_MS = 2000;

/** Bodies wait without a limit of time here: the request's deadline answers the client, the body goes its way. */
export class MainPort implements IngestPort, StatusPort, StoredPort, Telemetry {
  readonly #port: MessagePort;
  readonly #bodies = new Map<number, (outcome: IngestOutcome) => void>();
  readonly #snapshots = new Map<number, WaitingSnapshot>();
  #lastId = 0;
  #follower: { readonly id: number; readonly onNews: (news: StoredNews) => void } | undefined;

  constructor(port: MessagePort) {
    this.#port = port;
  }

  get inFlightCount(): number {
    return this.#bodies.size + this.#snapshots.size;
  }

  post(message: FromApi): void {
    this.#port.postMessage(message, []);
  }

  submit(body: ArrayBuffer, format: BodyFormat, options: IngestOptions = {}): Promise<IngestOutcome> {
    return new Promise((resolve) => {
      const id = ++this.#lastId;
      this.#bodies.set(id, resolve);
      const message: FromApi = { kind: 'ingest', id, body, format, options };
      this.#port.postMessage(message, [body]);
    });
  }

  snapshot<K extends SnapshotKind>(what: K): Promise<StatusSnapshots[K]> {
    return new Promise((resolve, reject) => {
      const id = ++this.#lastId;
      const timer = setTimeout(() => {
        this.#snapshots.delete(id);
        reject(new MillraceError('deadline_exceeded', 'The main thread does not answer.'));
      }, SNAPSHOT_WAIT_MS);
      this.#snapshots.set(id, {
        resolve: (value) => {
          clearTimeout(timer);
          resolve(value as StatusSnapshots[K]);
        },
        reject: (error) => {
          clearTimeout(timer);
          reject(error);
        },
      });
      this.post({ kind: 'snapshot', id, what });
    });
  }

  follow(onNews: (news: StoredNews) => void): () => void {
    const id = ++this.#lastId;
    this.#follower = { id, onNews };
    this.post({ kind: 'follow_stored', id });
    return () => {
      if (this.#follower?.id === id) this.#follower = undefined;
      this.post({ kind: 'unfollow_stored', id });
    };
  }

  taken(byteCount: number): void {
    this.post({ kind: 'stored_taken', byteCount });
  }

  emit(event: InternalEventName, fields: TelemetryFields = {}, amount = 1): void {
    this.post({ kind: 'telemetry', event, fields, amount });
  }

  received(answer: Answer): void {
    if (answer.kind === 'stored') {
      if (answer.id === this.#follower?.id) this.#follower.onNews(answer.news);
      return;
    }
    if (answer.kind === 'ingest_answer') {
      this.#bodies.get(answer.id)?.(answer.outcome);
      this.#bodies.delete(answer.id);
      return;
    }
    const waiting = this.#snapshots.get(answer.id);
    this.#snapshots.delete(answer.id);
    if ('error' in answer.answer) waiting?.reject(fromPlainError(answer.answer.error));
    else waiting?.resolve(answer.answer.value);
  }
}
