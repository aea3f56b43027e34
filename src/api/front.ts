/**
 * From a request to a response: request id, route, permission, handler, and the headers that every answer has.
 * Nothing thrown gets past it.
 */
import { randomUUID } from 'node:crypto';
import { MillraceError, quoteValue, toMillraceError } from '../errors.ts';
import type { Telemetry } from '../telemetry.ts';
import type { AuditDraft, AuditEntry, AuditLog } from './audit/audit-log.ts';
import type { HttpRequest, HttpResponse } from './http/port.ts';
import { badRequest, problemResponse } from './problem.ts';
import { checkQueryNames, readQuery } from './read-query.ts';
import { PERMISSIONS, type Principal, type Route } from './route.ts';
import { Router } from './router.ts';
import { isScoped } from './scope.ts';

export interface FrontPorts {
  /** Who is asking; throws `unauthorized`. */
  readonly authenticate: (request: HttpRequest, how: { readonly takesTicket: boolean }) => Promise<Principal>;
  readonly telemetry: Telemetry;
  /** Absent where nothing is audited. */
  readonly audit?: AuditLog;
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
const BAD_REQUEST = 400;
const UNAUTHORIZED = 401;
const FORBIDDEN = 403;
const FAILED = 500;
/** Not audited: whoever is held back may ask again as often as they like. */
const TOO_MANY = 429;

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
    const audit: AuditDraft = { action: undefined, actor: '', target: '', detail: {} };
    const response = await this.#answer(request, requestId, audit);
    this.#audit(audit, request, { requestId, status: response.status });
    return response;
  }

  /** Ends what goes on behind the requests; call it when there are no more of them. */
  async close(): Promise<void> {
    await this.#ports.audit?.close();
  }

  async #answer(request: HttpRequest, requestId: string, audit: AuditDraft): Promise<HttpResponse> {
    try {
      return this.#finish(await this.#route(request, requestId, audit), requestId);
    } catch (error) {
      // When the client is gone, what was cut off with it has not failed.
      if (request.signal.aborted) return { status: 503, headers: {} };
      return this.#fail(toMillraceError(error), requestId);
    }
  }

  #audit(
    draft: AuditDraft,
    { remoteAddress: address }: HttpRequest,
    { requestId, status }: { readonly requestId: string; readonly status: number },
  ): void {
    const { action, actor } = draft;
    if (action === undefined || actor === '' || status === TOO_MANY) return;
    const outcome = outcomeOf(status);
    this.#ports.audit?.add({ ...draft, action, outcome, address, requestId });
  }

  /** The response to what happened outside a handler: a deadline, a doubtful frame, a body that broke off. */
  failure(error: MillraceError, requestId: string = randomUUID()): HttpResponse {
    return this.#fail(error, requestId);
  }

  async #route(request: HttpRequest, requestId: string, audit: AuditDraft): Promise<HttpResponse> {
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
        const context = { request, requestId, params, query: new URLSearchParams(request.query), audit };
        audit.action = route.audit;
        audit.target = params['name'] ?? params['id'] ?? '';
        if (route.access === 'public') {
          checkQuery(context.query, route);
          return await route.handle(context);
        }
        const takesTicket = route.takesTicket === true;
        const principal = await this.#ports.authenticate(request, { takesTicket });
        if (takesTicket) context.query.delete('ticket');
        audit.actor = principal.username;
        checkAccess(route, principal);
        checkQuery(context.query, route);
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

/** Throws 400 for parameters that the route does not describe. */
function checkQuery(query: URLSearchParams, { operation }: Route): void {
  checkQueryNames(query, operation.query);
  if (operation.query !== undefined) readQuery(query, operation.query);
}

/** Throws `forbidden`. */
function checkAccess({ access, isScoped: isHeldToScope }: Route, { role, scope }: Principal): void {
  if (access === 'signed_in' || access === 'public') return;
  if (!PERMISSIONS[role].has(access)) {
    throw new MillraceError('forbidden', `The role ${role} may not do this.`);
  }
  if (isHeldToScope !== true && isScoped(scope)) {
    throw new MillraceError(
      'forbidden',
      'This is not kept apart by service, host and environment: a scope has no part in it.',
    );
  }
}

function outcomeOf(status: number): AuditEntry['outcome'] {
  if (status < BAD_REQUEST) return 'ok';
  return status === UNAUTHORIZED || status === FORBIDDEN ? 'denied' : 'failed';
}

function methodProblem(method: string, allow: readonly string[], requestId: string): HttpResponse {
  const headers = { Allow: allow.join(', ') };
  if (method === 'OPTIONS') return { status: 204, headers };
  const error = new MillraceError('method_not_allowed', `${quoteValue(method)} is not possible here.`);
  return problemResponse(error, { requestId, headers });
}
