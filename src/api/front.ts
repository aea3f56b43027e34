/**
 * From a request to a response: request id, route, permission, handler, and the headers that every answer has.
 * Nothing thrown gets past it.
 */
import { randomUUID } from 'node:crypto';
import { MillraceError, quoteValue, toMillraceError } from '../errors.ts';
import type { Telemetry } from '../telemetry.ts';
import type { HttpRequest, HttpResponse } from './http/port.ts';
import { badRequest, problemResponse } from './problem.ts';
import { checkQueryNames } from './read-query.ts';
import { PERMISSIONS, type Principal, type Route } from './route.ts';
import { Router } from './router.ts';

export interface FrontPorts {
  /** Who is asking; throws `unauthorized`. */
  readonly authenticate: (request: HttpRequest, how: { readonly takesTicket: boolean }) => Promise<Principal>;
  readonly telemetry: Telemetry;
  readonly hasTls: boolean;
}

const COMMON_HEADERS = {
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
  'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Cache-Control': 'no-store',
} as const;
const TLS_HEADERS = { 'Strict-Transport-Security': 'max-age=31536000' } as const;

const REQUEST_ID = /^[\w.-]{1,128}$/;
const FAILED = 500;

export class Front {
  readonly #router: Router;
  readonly #ports: FrontPorts;

  constructor(routes: readonly Route[], ports: FrontPorts) {
    this.#router = new Router(routes);
    this.#ports = ports;
  }

  /** Never rejects. */
  async handle(request: HttpRequest): Promise<HttpResponse> {
    const given = request.headers.get('x-request-id');
    const requestId = given !== undefined && REQUEST_ID.test(given) ? given : randomUUID();
    try {
      return this.#finish(await this.#route(request, requestId), requestId);
    } catch (error) {
      // When the client is gone, what was cut off with it has not failed.
      if (request.signal.aborted) return { status: 503, headers: {} };
      return this.#fail(toMillraceError(error), requestId);
    }
  }

  /** The response to what happened outside a handler: a deadline, a doubtful frame, a body that broke off. */
  failure(error: MillraceError, requestId: string = randomUUID()): HttpResponse {
    return this.#fail(error, requestId);
  }

  async #route(request: HttpRequest, requestId: string): Promise<HttpResponse> {
    const match = this.#router.match(request.method, request.path);
    switch (match.kind) {
      case 'not_found':
        throw new MillraceError('not_found', `There is nothing at ${quoteValue(request.path)}.`);
      case 'malformed':
        throw badRequest('The path is not valid percent-encoding.');
      case 'wrong_method':
        return methodProblem(request.method, match.allow, requestId);
      case 'found': {
        const { route, params } = match;
        const context = { request, requestId, params, query: new URLSearchParams(request.query) };
        if (route.access === 'public') {
          checkNames(context.query, route);
          return await route.handle(context);
        }
        const takesTicket = route.takesTicket === true;
        const principal = await this.#ports.authenticate(request, { takesTicket });
        if (takesTicket) context.query.delete('ticket');
        if (route.access !== 'signed_in' && !PERMISSIONS[principal.role].has(route.access)) {
          throw new MillraceError('forbidden', `The role ${principal.role} may not do this.`);
        }
        checkNames(context.query, route);
        return await route.handle({ ...context, principal });
      }
      default:
        return match satisfies never;
    }
  }

  #fail(error: MillraceError, requestId: string): HttpResponse {
    if (error.status >= FAILED) {
      this.#ports.telemetry.emit('request_failed', {
        request_id: requestId,
        code: error.code,
        error: quoteValue(error.message),
      });
    }
    return this.#finish(problemResponse(error, { requestId }), requestId);
  }

  #finish(response: HttpResponse, requestId: string): HttpResponse {
    const headers = {
      ...COMMON_HEADERS,
      ...(this.#ports.hasTls ? TLS_HEADERS : {}),
      'X-Request-Id': requestId,
      ...response.headers,
    };
    return { ...response, headers };
  }
}

/** Parameters that the route does not describe are refused; one that describes nothing looks after them itself. */
function checkNames(query: URLSearchParams, { operation }: Route): void {
  if (operation !== undefined) checkQueryNames(query, operation.query);
}

function methodProblem(method: string, allow: readonly string[], requestId: string): HttpResponse {
  const headers = { Allow: allow.join(', ') };
  if (method === 'OPTIONS') return { status: 204, headers };
  const error = new MillraceError('method_not_allowed', `${quoteValue(method)} is not possible here.`);
  return problemResponse(error, { requestId, headers });
}
