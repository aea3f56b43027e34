/**
 * `POST /logs` and `POST /log`: the body is copied and moved on, and answered when it is stored.
 */
import { MillraceError } from '../../errors.ts';
import type { IngestOutcome, IngestPort } from '../../pipeline/ingest-port.ts';
import type { Telemetry } from '../../telemetry.ts';
import type { HttpResponse } from '../http/port.ts';
import { jsonResponse, problemResponse } from '../problem.ts';
import type { RequestContext, Route } from '../route.ts';
import { isScoped } from '../scope.ts';
import { decodeBody, isEncoded } from './body-encoding.ts';
import { formatOfType, sniffFormat } from './body-format.ts';
import type { ByteBudget, ByteHold } from './byte-budget.ts';
import { readIdempotencyKey, toIngestKey } from './idempotency-key.ts';
import { postLogsOperation } from './ingest-operations.ts';

export interface IngestPorts {
  readonly ingest: IngestPort;
  readonly budget: ByteBudget;
  readonly telemetry: Telemetry;
  readonly maxBodyBytes: number;
}

export function ingestRoutes(ports: IngestPorts): Route[] {
  return (['postLogs', 'postLog'] as const).map((id) => ({
    method: 'POST',
    path: id === 'postLogs' ? '/logs' : '/log',
    access: 'post',
    operation: postLogsOperation(id),
    isScoped: true,
    handle: (context) => postLogs(context, ports),
  }));
}

async function postLogs(context: RequestContext, ports: IngestPorts): Promise<HttpResponse> {
  const { request, requestId, principal } = context;
  const { budget, maxBodyBytes } = ports;
  const key = readIdempotencyKey(request.headers);
  const declaredFormat = formatOfType(request.headers.get('content-type'));
  const encoding = request.headers.get('content-encoding');
  const isDecoded = isEncoded(encoding);
  return await budget.spend(principal.username, async (hold) => {
    const sent = await request.readBody(maxBodyBytes, (byteCount) => hold.take(byteCount));
    const body = isDecoded ? await decode(sent, encoding, { hold, maxBodyBytes }) : sent;
    const format = declaredFormat ?? sniffFormat(body);
    const { username, scope } = principal;
    const ingestKey = key === undefined ? undefined : toIngestKey(key, { username, body, format, scope });
    const options = { key: ingestKey, scope: isScoped(scope) ? scope : undefined };
    const outcome = await ports.ingest.submit(body, format, options);
    countOutOfScope(outcome, ports.telemetry);
    return toResponse(outcome, requestId);
  });
}

/** The encoded bytes are held until the last of them is decoded. */
async function decode(
  sent: ArrayBuffer,
  encoding: string,
  { hold, maxBodyBytes: maxBytes }: { readonly hold: ByteHold; readonly maxBodyBytes: number },
): Promise<ArrayBuffer> {
  const sentBytes = sent.byteLength;
  const onBytes = (byteCount: number): void => hold.take(byteCount);
  const body = await decodeBody(sent, encoding, { maxBytes, onBytes });
  hold.giveBack(sentBytes);
  return body;
}

function countOutOfScope(outcome: IngestOutcome, telemetry: Telemetry): void {
  if (outcome.kind !== 'stored' || outcome.isReplayed === true) return;
  const count = outcome.outOfScopeCount ?? 0;
  if (count > 0) telemetry.emit('records_out_of_scope', {}, count);
}

function toResponse(outcome: IngestOutcome, requestId: string): HttpResponse {
  switch (outcome.kind) {
    case 'stored': {
      const { acceptedCount, rejectedCount, rejected, isReplayed } = outcome;
      const headers = isReplayed === true ? { 'Idempotency-Replayed': 'true' } : {};
      const counts = { accepted: acceptedCount, rejected };
      // The list is cut at its limit; then the count tells how many there are.
      const answer = rejectedCount > rejected.length ? { ...counts, rejected_count: rejectedCount } : counts;
      if (acceptedCount > 0 || rejectedCount === 0) {
        const response = jsonResponse(answer);
        return { ...response, headers: { ...response.headers, ...headers } };
      }
      const error = new MillraceError('unprocessable', 'Every record of the body was rejected.');
      return problemResponse(error, { requestId, members: answer, headers });
    }
    case 'failed':
      return problemResponse(new MillraceError(outcome.code, outcome.message), { requestId });
    default:
      return outcome satisfies never;
  }
}
