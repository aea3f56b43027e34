/**
 * Port through which direct sources (HTTP first) hand in bodies and learn what became of their records.
 * Plain data on both sides: it crosses a thread.
 */
import type { ErrorCode } from '../errors.ts';
import type { RejectionCode } from '../event/reasons.ts';
import type { Scope } from '../event/scope.ts';
import type { BodyFormat } from './parse-protocol.ts';

export interface RejectedRecord {
  /** 1-based line (ndjson, text) or element (json array) of the body. */
  readonly line: number;
  readonly code: RejectionCode;
  readonly reason: string;
  /** Absent when no record and no letter came to be: the body could not be framed, or the record is out of scope. */
  readonly dead_letter_id?: string;
}

/** Makes a body that is sent again known for what it is. SHA-256 digests in hexadecimal. */
export interface IngestKey {
  /** Of the user and the key. */
  readonly digest: string;
  /** Of the body and its format. */
  readonly bodyDigest: string;
}

/** `stored`: every accepted record is in ClickHouse. `failed`: nothing is promised; try again when retryable. */
export type IngestOutcome =
  | {
      readonly kind: 'stored';
      readonly acceptedCount: number;
      /** Rejected records in all; `rejected` lists at most 1,000 of them. */
      readonly rejectedCount: number;
      readonly rejected: readonly RejectedRecord[];
      /** Of the rejected ones. Absent: 0. */
      readonly outOfScopeCount?: number;
      /** The body had come before, under the same key; this is what became of it then. */
      readonly isReplayed?: boolean;
    }
  | { readonly kind: 'failed'; readonly code: ErrorCode; readonly message: string };

export interface IngestOptions {
  /** The body is stored once under one key, however often it is sent. */
  readonly key?: IngestKey | undefined;
  /** Records outside are rejected. Absent: none is. */
  readonly scope?: Scope | undefined;
}

export interface IngestPort {
  /** Never rejects. Takes over `body`. */
  submit(body: ArrayBuffer, format: BodyFormat, options?: IngestOptions): Promise<IngestOutcome>;
}
