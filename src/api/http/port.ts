/**
 * The HTTP port: what the API sees of a request and says in a response. Both servers implement it and pass the
 * same tests; nothing behind this file knows which one runs.
 */
import type { MillraceError } from '../../errors.ts';

export interface HttpRequest {
  /** As sent, upper case for the usual ones. */
  readonly method: string;
  /** Raw: still percent-encoded, without the query. */
  readonly path: string;
  /** Raw, without the question mark; empty when there is none. */
  readonly query: string;
  /** Names in lower case; a repeated header's values are joined by `, `. */
  readonly headers: ReadonlyMap<string, string>;
  /**
   * Of the peer, or behind the front of the client that a trusted proxy names; IPv4 addresses always in their own
   * form, never mapped into IPv6.
   */
  readonly remoteAddress: string;
  /** Aborted when the client is gone, the deadline has passed or the server closes. */
  readonly signal: AbortSignal;
  /**
   * The whole body in memory of its own, which may be moved. Call it once. Rejects with `payload_too_large` past
   * `maxBytes` and with `bad_request` when the client went away. `onBytes` is told of bytes as they arrive, before
   * they are kept; what it throws refuses the body.
   */
  readBody(maxBytes: number, onBytes?: (byteCount: number) => void): Promise<ArrayBuffer>;
}

/**
 * A body of unknown length, made while it is sent: the next chunk is asked for when there is room for it. Its end
 * ends the body; an error cuts the connection, so that it shows. When the client is gone `request.signal` is
 * aborted, which a source that waits must listen to, and the iterator is returned at its next step.
 */
export type BodyStream = AsyncIterable<string | Uint8Array>;

export interface HttpResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array | BodyStream;
}

/** What is known of a request that did not get its answer from the handler. */
export interface FailedRequest {
  readonly headers: ReadonlyMap<string, string>;
  /** Of the answer that broke off. */
  readonly requestId?: string | undefined;
}

export interface HttpServerOptions {
  readonly host: string;
  /** 0 takes a free port. */
  readonly port: number;
  /** PEM files. */
  readonly tls?: { readonly certFile: string; readonly keyFile: string } | undefined;
  /** From the end of the headers to the start of the response; then `failure('deadline_exceeded')` is sent. */
  readonly requestDeadlineMs: number;
  readonly handler: (request: HttpRequest) => Promise<HttpResponse>;
  /**
   * The response to what the server itself refuses, and to what `handler` threw; of a body that broke off only the
   * log can be told any more. Must not throw.
   */
  readonly failure: (error: MillraceError, failed: FailedRequest) => HttpResponse;
  /** Connections at once; further ones are closed, and counted by `onRefused`. */
  readonly maxConnections?: number | undefined;
  readonly onRefused?: (() => void) | undefined;
}

export interface HttpServer {
  readonly kind: 'uws' | 'node';
  /** Requests under way, streams included. */
  readonly inFlightCount: number;
  /** Resolves with the port. */
  listen(): Promise<number>;
  /** Stops listening, waits for requests under way until the deadline, then cuts what is left. */
  stop(deadlineMs: number): Promise<void>;
  /** Cuts everything at once, synchronously: no socket is left when it returns (uws), or no listener (node). */
  halt(): void;
}
