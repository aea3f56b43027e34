/**
 * From a request to a response: request id, client, route, limits, permission, handler, and the headers that every
 * answer has. Nothing thrown gets past it.
 */
import { MillraceError, quoteValue, toMillraceError } from '../errors.ts';
import type { Telemetry } from '../telemetry.ts';
import { checkAccess, checkQuery } from './access.ts';
import { type Asked, readAsked } from './asked.ts';
import type { AuditEntry, AuditLog } from './audit/audit-log.ts';
import type { ClientAddress } from './client-address.ts';
import { Cors } from './cors.ts';
import { deprecationFields } from './deprecation.ts';
import type { FailedRequest, HttpRequest, HttpResponse } from './http/port.ts';
import type { Allowance } from './limits/allowance.ts';
import { QuerySlots } from './limits/query-slots.ts';
import type { RateLimits } from './limits/rate-limits.ts';
import { badRequest, problemResponse } from './problem.ts';
import { openAccount } from './query-limits.ts';
import type { Principal, PublicContext, Route } from './route.ts';
import { Router } from './router.ts';
import { tally } from './tally.ts';

export interface FrontPorts {
  /** Who is asking; throws `unauthorized`. */
  readonly authenticate: (request: HttpRequest, how: { readonly takesTicket: boolean }) => Promise<Principal>;
  readonly telemetry: Telemetry;
  /** Absent where nothing is audited. */
  readonly audit?: AuditLog;
  readonly hasTls: boolean;
  /** Ends the answers that have no end of their own. */
  readonly endStreams?: () => void;
  /** Absent: nothing is limited. */
  readonly limits?: RateLimits | undefined;
  /** Absent: no page of another origin may ask. */
  readonly cors?: Cors | undefined;
  /** Absent: the peer is the client. */
  readonly clientAddress?: ClientAddress | undefined;
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

/** What a posted body is charged besides its bytes, so that empty ones are not for nothing. */
const REQUEST_BYTES = 1024;
const BAD_REQUEST = 400;
const UNAUTHORIZED = 401;
const FORBIDDEN = 403;
const FAILED = 500;
/** Not audited: whoever is held back may ask again as often as they like. */
const TOO_MANY = 429;

export class Front {
  readonly #router: Router;
  readonly #ports: FrontPorts;
  readonly #cors: Cors;
  readonly #commonHeaders: Readonly<Record<string, string>>;
  readonly #querySlots = new QuerySlots();
  readonly #countLimited: () => void;

  constructor(routes: readonly Route[], ports: FrontPorts) {
    this.#router = new Router(routes);
    this.#ports = ports;
    this.#cors = ports.cors ?? new Cors([]);
    this.#commonHeaders = { ...COMMON_HEADERS, ...(ports.hasTls ? TLS_HEADERS : {}) };
    this.#countLimited = tally((count) => ports.telemetry.emit('requests_limited', {}, count));
  }

  /** Never rejects. */
  async handle(received: HttpRequest): Promise<HttpResponse> {
    const request = this.#withClient(received);
    const asked = readAsked(request.headers);
    const response = await this.#answer(request, asked);
    this.#audit(request, asked, response.status);
    return response;
  }

  /** Call it when the server begins to stop, which waits for its answers. */
  endStreams(): void {
    this.#ports.endStreams?.();
  }

  /** Ends what goes on behind the requests; call it when there are no more of them. */
  async close(): Promise<void> {
    await this.#ports.audit?.close();
  }

  /** The response to what happened outside a handler: a deadline, a doubtful frame, a body that broke off. */
  failure(error: MillraceError, { headers, requestId }: FailedRequest): HttpResponse {
    const asked = readAsked(headers);
    return this.#fail(error, { ...asked, requestId: requestId ?? asked.requestId });
  }

  async #answer(request: HttpRequest, asked: Asked): Promise<HttpResponse> {
    try {
      return this.#finish(await this.#route(request, asked), asked);
    } catch (error) {
      // When the client is gone, what was cut off with it has not failed.
      if (request.signal.aborted) return { status: 503, headers: {} };
      return this.#fail(toMillraceError(error), asked);
    }
  }

  #audit({ remoteAddress: address }: HttpRequest, { audit, requestId }: Asked, status: number): void {
    const { action, actor } = audit;
    if (action === undefined || actor === '' || status === TOO_MANY) return;
    const outcome = outcomeOf(status);
    this.#ports.audit?.add({ ...audit, action, outcome, address, requestId });
  }

  #withClient(request: HttpRequest): HttpRequest {
    const remoteAddress = this.#ports.clientAddress?.of(request) ?? request.remoteAddress;
    return remoteAddress === request.remoteAddress ? request : { ...request, remoteAddress };
  }

  async #route(request: HttpRequest, asked: Asked): Promise<HttpResponse> {
    const match = this.#router.match(request.method, request.path);
    switch (match.kind) {
      case 'not_found':
        throw new MillraceError('not_found', `There is nothing at ${quoteValue(request.path)}.`);
      case 'malformed':
        throw badRequest('The path is not valid percent-encoding.');
      case 'wrong_method':
        return this.#answerMethod(request, match.allow, asked);
      case 'found': {
        const { route, params } = match;
        const { requestId, audit } = asked;
        asked.deprecation = route.deprecation;
        audit.action = route.audit;
        audit.target = params['name'] ?? params['id'] ?? '';
        const query = new URLSearchParams(request.query);
        return await this.#handle(route, asked, { request, requestId, params, query, audit });
      }
      default:
        return match satisfies never;
    }
  }

  async #handle(route: Route, asked: Asked, context: PublicContext): Promise<HttpResponse> {
    const { request, query } = context;
    if (route.access === 'public') {
      if (route.isUncounted !== true) this.#ports.limits?.ofAddress(request.remoteAddress).admit();
      checkQuery(query, route);
      return await route.handle(context);
    }
    const takesTicket = route.takesTicket === true;
    const principal = await this.#authenticate(request, takesTicket);
    asked.audit.actor = principal.username;
    const isIngest = route.access === 'post';
    const { username } = principal;
    const { limits } = this.#ports;
    const allowance = isIngest ? limits?.ofWriter(username) : limits?.ofReader(username);
    if (allowance !== undefined) {
      asked.allowance = allowance;
      allowance.admit();
    }
    if (takesTicket) query.delete('ticket');
    checkAccess(route, principal);
    checkQuery(query, route);
    if (isIngest) {
      const charged = allowance === undefined ? request : chargeBody(request, allowance);
      return await route.handle({ ...context, principal, request: charged });
    }
    openAccount(request.signal, {
      charge: (rowCount) => allowance?.charge(rowCount),
      run: (work) => this.#querySlots.run(username, request.signal, work),
    });
    return await route.handle({ ...context, principal });
  }

  /** Failures count against the address: tokens and keys are not to be guessed at any rate. */
  async #authenticate(request: HttpRequest, takesTicket: boolean): Promise<Principal> {
    try {
      return await this.#ports.authenticate(request, { takesTicket });
    } catch (error) {
      if (error instanceof MillraceError && error.code === 'unauthorized') {
        this.#ports.limits?.ofAddress(request.remoteAddress).admit();
      }
      throw error;
    }
  }

  #answerMethod(request: HttpRequest, allow: readonly string[], asked: Asked): HttpResponse {
    const headers = { Allow: allow.join(', '), ...this.#cors.preflightFields(request.headers, allow) };
    if (request.method === 'OPTIONS') return { status: 204, headers };
    const error = new MillraceError(
      'method_not_allowed',
      `${quoteValue(request.method)} is not possible here.`,
    );
    return problemResponse(error, { requestId: asked.requestId, headers });
  }

  #fail(error: MillraceError, asked: Asked): HttpResponse {
    const { requestId, traceId } = asked;
    const trace = traceId === undefined ? {} : { trace_id: traceId };
    if (error.code === 'too_many_requests') this.#countLimited();
    if (error.status >= FAILED) {
      this.#ports.telemetry.emit('request_failed', {
        request_id: requestId,
        ...trace,
        code: error.code,
        error: quoteValue(error.message),
      });
    }
    return this.#finish(problemResponse(error, { requestId, members: trace }), asked);
  }

  #finish(
    response: HttpResponse,
    { requestId, headers: asked, allowance, deprecation }: Asked,
  ): HttpResponse {
    const headers: Record<string, string> = { ...this.#commonHeaders, 'X-Request-Id': requestId };
    allowance?.addFields(headers);
    if (deprecation !== undefined) Object.assign(headers, deprecationFields(deprecation));
    Object.assign(headers, response.headers);
    this.#cors.addFields(headers, asked);
    return { ...response, headers };
  }
}

/** The same request, whose body is charged as it arrives, also one that never ends. */
function chargeBody(request: HttpRequest, allowance: Allowance): HttpRequest {
  return {
    ...request,
    readBody(maxBytes, onBytes) {
      allowance.charge(REQUEST_BYTES);
      return request.readBody(maxBytes, (byteCount) => {
        allowance.charge(byteCount);
        onBytes?.(byteCount);
      });
    },
  };
}

function outcomeOf(status: number): AuditEntry['outcome'] {
  if (status < BAD_REQUEST) return 'ok';
  return status === UNAUTHORIZED || status === FORBIDDEN ? 'denied' : 'failed';
}
