/**
 * Messages between the main thread and the API thread: plain data only. Bodies are moved, never cloned.
 */
import type { PlainError } from '../errors.ts';
import type { InternalEventName, TelemetryFields } from '../telemetry.ts';
import type { IngestOptions, IngestOutcome } from './ingest-port.ts';
import type { BodyFormat } from './parse-protocol.ts';
import type { SnapshotKind, StatusSnapshots } from './status-port.ts';
import type { StoredNews } from './stored-port.ts';

/** How to reach ClickHouse. The password crosses in clear inside the process: a `Secret` is a class. */
interface ApiStoreSettings {
  readonly url: string;
  readonly user?: string;
  readonly password?: string;
  readonly database: string;
  /** Sent with every request; holds the random key of the embedded server. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** Per minute, or at once; 0 is no limit. Each process counts for itself. */
export interface RateQuotas {
  /** Of one user or key, those that post logs apart. */
  readonly requestsPerMinute: number;
  /** Read by the queries of one user or key. */
  readonly rowsPerMinute: number;
  /** Of the bodies that one user or key posts, as sent. */
  readonly ingestBytesPerMinute: number;
  /** Without a login, of one address. */
  readonly anonymousPerMinute: number;
  /** Open at once, of one user or key. */
  readonly streamsPerUser: number;
}

export interface ApiSettings {
  readonly host: string;
  /** 0 takes a free port; `listening` tells which. */
  readonly port: number;
  readonly server: 'auto' | 'uws' | 'node';
  /** PEM files. */
  readonly tls?: { readonly certFile: string; readonly keyFile: string };
  /** Directory of the signing keys, made when missing. */
  readonly keysDir: string;
  /** Age at which the key that signs tokens is replaced. */
  readonly keyRotationMs: number;
  /** Signs cursors; in clear as the password is. */
  readonly cursorSecret: Uint8Array;
  /** Keys of the dead letters, likewise. */
  readonly letterKeys: readonly Uint8Array[];
  readonly maxBodyBytes: number;
  /** Bytes that bodies under way may hold together, one user or key at most a part of them; beyond it 429. */
  readonly bodyBudgetBytes: number;
  readonly quotas?: RateQuotas;
  /** Origins whose pages may call the API. */
  readonly corsOrigins?: readonly string[];
  /** Addresses and networks whose X-Forwarded-For is believed. */
  readonly trustedProxies?: readonly string[];
  readonly maxConnections?: number;
  /** A request without an answer after this long gets 503. */
  readonly requestDeadlineMs: number;
  /** Bearer token that `/metrics` requires; without one only loopback is answered. */
  readonly metricsToken?: string;
  readonly store: ApiStoreSettings;
}

/** `workerData` of the API thread. */
export interface ApiWorkerData {
  readonly settings: ApiSettings;
  /** Whether this program takes logs and stores them; else the API has no route to post them to. */
  readonly storesLogs: boolean;
  /** Set to 1 and notified when the thread holds no socket any more, so that the process may end. */
  readonly isHalted: Int32Array;
}

export type ToApi =
  | { readonly kind: 'ingest_answer'; readonly id: number; readonly outcome: IngestOutcome }
  | {
      readonly kind: 'snapshot_answer';
      readonly id: number;
      readonly answer: { readonly value: StatusSnapshots[SnapshotKind] } | { readonly error: PlainError };
    }
  /** To the follower that asked last; its blocks are moved. */
  | { readonly kind: 'stored'; readonly id: number; readonly news: StoredNews }
  /** Stop listening, let requests finish until the deadline, close, end the thread. */
  | { readonly kind: 'stop'; readonly deadlineMs: number }
  /** Close everything at once: the process is ending. */
  | { readonly kind: 'halt' };

export type FromApi =
  | { readonly kind: 'listening'; readonly port: number; readonly server: 'uws' | 'node' }
  /** The thread could not start or cannot go on; it ends next. */
  | { readonly kind: 'failed'; readonly error: PlainError }
  | {
      readonly kind: 'ingest';
      readonly id: number;
      readonly body: ArrayBuffer;
      readonly format: BodyFormat;
      readonly options: IngestOptions;
    }
  | { readonly kind: 'snapshot'; readonly id: number; readonly what: SnapshotKind }
  | { readonly kind: 'follow_stored'; readonly id: number }
  | { readonly kind: 'unfollow_stored'; readonly id: number }
  | { readonly kind: 'stored_taken'; readonly byteCount: number }
  /** A part of ClickHouse, by its name, that a query could not read. */
  | { readonly kind: 'part_unreadable'; readonly part: string }
  | {
      readonly kind: 'telemetry';
      readonly event: InternalEventName;
      readonly fields: TelemetryFields;
      readonly amount: number;
    };
