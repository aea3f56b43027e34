/**
 * Probes, metrics and the ledger: what the program says of itself. Also served by programs without the rest.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { isIPv4 } from 'node:net';
import { MillraceError } from '../../errors.ts';
import type { StatusPort } from '../../pipeline/status-port.ts';
import type { HttpRequest, HttpResponse } from '../http/port.ts';
import { jsonResponse } from '../problem.ts';
import type { PublicContext, Route } from '../route.ts';
import { GET_STATUS, LIVEZ, METRICS, READYZ } from './health-operations.ts';
import { KeptReadiness } from './kept-readiness.ts';
import type { Ledger } from './ledger.ts';
import { GET_LEDGER } from './ledger-schema.ts';

export interface HealthPorts {
  readonly status: StatusPort;
  /** Bearer token that `/metrics` requires; without one only this machine is answered. */
  readonly metricsToken?: string | undefined;
}

/** `/livez`, `/readyz` and `/metrics`, which need no login. */
export function probeRoutes(ports: HealthPorts): Route[] {
  const readiness = new KeptReadiness(ports.status);
  const bare = { method: 'GET', isBare: true, isUncounted: true, access: 'public' } as const;
  return [
    { ...bare, path: '/livez', operation: LIVEZ, handle: async () => jsonResponse({ status: 'ok' }) },
    {
      ...bare,
      path: '/readyz',
      operation: READYZ,
      handle: ({ request }: PublicContext) => readyz(request, readiness),
    },
    {
      ...bare,
      path: '/metrics',
      operation: METRICS,
      handle: ({ request }: PublicContext) => metrics(request, ports),
    },
  ];
}

/** The ledger is of all time, the status since the start of the program. */
export function statusRoutes(status: StatusPort, ledger: Ledger): Route[] {
  return [
    {
      method: 'GET',
      path: '/pipeline/ledger',
      access: 'read',
      operation: GET_LEDGER,
      handle: async ({ request }) => {
        const data = await ledger.read(await status.snapshot('lanes'), request.signal);
        return jsonResponse({ balanced: data.every(({ balanced }) => balanced), data });
      },
    },
    {
      method: 'GET',
      path: '/pipeline/status',
      access: 'read',
      operation: GET_STATUS,
      handle: async () => jsonResponse(await status.snapshot('status')),
    },
  ];
}

async function readyz(request: HttpRequest, readiness: KeptReadiness): Promise<HttpResponse> {
  const { problems } = await readiness.get();
  if (problems.length === 0) return jsonResponse({ status: 'ready' });
  // Details may name addresses: they are for this machine only.
  const isLocal = isFromHere(request);
  const reasons = problems.map(({ reason, detail, since }) => ({
    reason,
    ...(isLocal ? { detail } : {}),
    since: new Date(since).toISOString(),
  }));
  const response = jsonResponse({ status: 'not_ready', reasons }, 503);
  return { ...response, headers: { ...response.headers, 'Retry-After': '5' } };
}

async function metrics(request: HttpRequest, ports: HealthPorts): Promise<HttpResponse> {
  const { metricsToken, status } = ports;
  if (metricsToken === undefined && !isFromHere(request)) {
    throw new MillraceError('forbidden', 'Set METRICS_TOKEN to read /metrics from another machine.');
  }
  if (metricsToken !== undefined && !isSame(request.headers.get('authorization'), `Bearer ${metricsToken}`)) {
    throw new MillraceError('unauthorized', 'The metrics token is required.');
  }
  const { contentType, text } = await status.snapshot('metrics');
  return { status: 200, headers: { 'Content-Type': contentType }, body: text };
}

/** What a proxy on this machine passes on comes from elsewhere, whether the proxy is trusted or not. */
function isFromHere({ remoteAddress, headers }: HttpRequest): boolean {
  return isLoopback(remoteAddress) && !headers.has('x-forwarded-for') && !headers.has('forwarded');
}

function isLoopback(address: string): boolean {
  return isIPv4(address) ? address.startsWith('127.') : /^(0*:)*0*1$/.test(address);
}

/** Compares digests, so that the time tells neither contents nor length. */
function isSame(given: string | undefined, expected: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given ?? ''), digest(expected));
}
