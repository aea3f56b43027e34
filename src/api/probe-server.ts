/**
 * Probes and metrics alone, for programs without the API. A few requests a minute: node:http, on the main thread.
 */
import { MillraceError } from '../errors.ts';
import type { StatusPort } from '../pipeline/status-port.ts';
import type { Telemetry } from '../telemetry.ts';
import { Front } from './front.ts';
import { probeRoutes } from './health/health-routes.ts';
import type { HttpServer } from './http/port.ts';
import { createHttpServer } from './http/server.ts';

export interface ProbeServerOptions {
  readonly host: string;
  /** 0 takes a free port. */
  readonly port: number;
  /** Bearer token that `/metrics` requires; without one only this machine is answered. */
  readonly metricsToken?: string | undefined;
}

const REQUEST_DEADLINE_MS = 5000;

export function createProbeServer(
  { host, port, metricsToken }: ProbeServerOptions,
  status: StatusPort,
  telemetry: Telemetry,
): HttpServer {
  const authenticate = (): never => {
    throw new MillraceError('unauthorized', 'Nothing here can be logged in to.');
  };
  const front = new Front(probeRoutes({ status, metricsToken }), { authenticate, telemetry, hasTls: false });
  const options = {
    host,
    port,
    requestDeadlineMs: REQUEST_DEADLINE_MS,
    handler: front.handle.bind(front),
    failure: front.failure.bind(front),
  };
  return createHttpServer('node', options, telemetry);
}
