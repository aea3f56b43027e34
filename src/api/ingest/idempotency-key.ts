/**
 * The `Idempotency-Key` of a posted body (IETF draft httpapi-idempotency-key-header), as what goes on from here:
 * digests only. The key counts for the user who sent it, and only together with this body.
 */
import { createHash } from 'node:crypto';
import type { IngestKey } from '../../pipeline/ingest-port.ts';
import type { BodyFormat } from '../../pipeline/parse-protocol.ts';
import { badRequest } from '../problem.ts';
import { isScoped, type Scope, scopeText } from '../scope.ts';

/** Printable ASCII; the quotes of the draft's form are part of the key. */
const KEY = /^[\x20-\x7e]{1,255}$/;

export interface KeyedBody {
  readonly username: string;
  readonly body: ArrayBuffer;
  readonly format: BodyFormat;
  /** What of the body is taken: with another scope it gives other records, and is another body. */
  readonly scope: Scope;
}

/** The header's value, undefined when there is none; throws `bad_request` for what is no key. */
export function readIdempotencyKey(headers: ReadonlyMap<string, string>): string | undefined {
  const key = headers.get('idempotency-key');
  if (key === undefined || KEY.test(key)) return key;
  throw badRequest('Idempotency-Key must be 1 to 255 characters of printable ASCII.');
}

export function toIngestKey(key: string, { username, body, format, scope }: KeyedBody): IngestKey {
  const taken = isScoped(scope) ? `${format} ${scopeText(scope)}` : format;
  return {
    digest: createHash('sha256')
      .update(JSON.stringify([username, key]))
      .digest('hex'),
    bodyDigest: createHash('sha256').update(`${taken}\n`).update(new Uint8Array(body)).digest('hex'),
  };
}
