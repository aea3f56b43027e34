/**
 * A request as every answer to it needs it; what is found out on the way is added.
 */
import { randomUUID } from 'node:crypto';
import type { AuditDraft } from './audit/audit-log.ts';
import type { Deprecation } from './deprecation.ts';
import type { Allowance } from './limits/allowance.ts';
import { readTraceId } from './trace-parent.ts';

export interface Asked {
  readonly headers: ReadonlyMap<string, string>;
  readonly requestId: string;
  readonly traceId: string | undefined;
  readonly audit: AuditDraft;
  /** Of the user or key, once it is known. */
  allowance?: Allowance;
  deprecation?: Deprecation | undefined;
}

const REQUEST_ID = /^[\w.-]{1,128}$/;

export function readAsked(headers: ReadonlyMap<string, string>): Asked {
  const given = headers.get('x-request-id');
  return {
    headers,
    requestId: given !== undefined && REQUEST_ID.test(given) ? given : randomUUID(),
    traceId: readTraceId(headers),
    audit: { action: undefined, actor: '', target: '', detail: {} },
  };
}
