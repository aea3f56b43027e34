/**
 * From a request to a response: request id, client, route, limits, permission, handler, and the headers that every
 * answer has. Nothing thrown gets past it.
 */
import { randomUUID } from 'node:crypto';
import { MillraceError, quoteValue, toMillraceError } from '../errors.ts';
import type { Telemetry } from '../telemetry.ts';
import type { ClientAddress } from './client-address.ts';
import { Cors } from './cors.ts';
import { type Deprecation, deprecationFields } from './deprecation.ts';
import type { FailedRequest, HttpRequest, HttpResponse } from './http/port.ts';
import type { Allowance } from './limits/allowance.ts';
import type { RateLimits } from './limits/rate-limits.ts';
import { badRequest, problemResponse } from './problem.ts';
import { chargeQueries } from './query-limits.ts';
import { checkQueryNames } from './read-query.ts';
import { PERMISSIONS, type Principal, type PublicContext, type Route } from './route.ts';
import { Router } from './router.ts';
import { tally } from './tally.ts';
import { readTraceId } from './trace-parent.ts';

export interface FrontPorts {
  /** Who is asking; throws `unauthorized`. */
  readonly authenticate: (request: HttpRequest, how: { readonly takesTicket: boolean }) => Promise<Principal>;
  readonly telemetry: Telemetry;
  readonly hasTls: boolean;
  /** Absent: nothing is limited. */
  readonly limits?: RateLimits | undefined;
  /** Absent: no page of another origin may ask. */
  readonly cors?: Cors | undefined;
  /** Absent: the peer is the client. */
  readonly clientAddress?: ClientAddress | undefined;
}

/** A request as every answer to it needs it; what is found out on the way is added. */
interface Asked {
  readonly headers: ReadonlyMap<string, string>;
  readonly requestId: string;
  readonly traceId: string | undefined;
  /** Of the user or key, once it is known. */
  allowance?: Allowance;
  deprecation?: Deprecation | undefined;
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
  readonly #cors: Cors;
  readonly #countLimited: () => void;

  constructor(routes: readonly Route[], ports: FrontPorts) {
    this.#router = new Router(routes);
    this.#ports = ports;
    this.#cors = ports.cors ?? new Cors([]);
    this.#countLimited = tally((count) => ports.telemetry.emit('requests_limited', {}, count));
  }

  /** Never rejects. */
  async handle(received: HttpRequest): Promise<HttpResponse> {
    const asked = readAsked(received.headers);
    try {
      const request = this.#withClient(received);
      return this.#finish(await this.#route(request, asked), asked);
    } catch (error) {
      // When the client is gone, what was cut off with it has not failed.
      if (received.signal.aborted) return { status: 503, headers: {} };
      return this.#fail(toMillraceError(error), asked);
    }
  }

  /** The response to what happened outside a handler: a deadline, a doubtful frame, a body that broke off. */
  failure(error: MillraceError, { headers, requestId }: FailedRequest): HttpResponse {
    const asked = readAsked(headers);
    return this.#fail(error, { ...asked, requestId: requestId ?? asked.requestId });
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
        const { requestId } = asked;
        asked.deprecation = route.deprecation;
        return await this.#handle(route, asked, {
          request,
          requestId,
          params,
          query: new URLSearchParams(request.query),
        });
      }
      default:
        return match satisfies never;
    }
  }

  async #handle(route: Route, asked: Asked, context: PublicContext): Promise<HttpResponse> {
    const { request, query } = context;
    if (route.access === 'public') {
      if (route.isUncounted !== true) this.#ports.limits?.ofAddress(request.remoteAddress).admit();
      checkNames(query, route);
      return await route.handle(context);
    }
    const takesTicket = route.takesTicket === true;
    const principal = await this.#authenticate(request, takesTicket);
    const allowance = this.#ports.limits?.ofUser(principal.username, route.access === 'post');
    if (allowance !== undefined) {
      asked.allowance = allowance;
      allowance.admit();
    }
    if (takesTicket) query.delete('ticket');
    if (route.access !== 'signed_in' && !PERMISSIONS[principal.role].has(route.access)) {
      throw new MillraceError('forbidden', `The role ${principal.role} may not do this.`);
    }
    checkNames(query, route);
    if (allowance === undefined) return await route.handle({ ...context, principal });
    if (route.access === 'post') {
      return await route.handle({ ...context, principal, request: chargeBody(request, allowance) });
    }
    chargeQueries(request.signal, (rowCount) => allowance.charge(rowCount));
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

  #finish(response: HttpResponse, { requestId, headers, allowance, deprecation }: Asked): HttpResponse {
    return {
      ...response,
      headers: {
        ...COMMON_HEADERS,
        ...(this.#ports.hasTls ? TLS_HEADERS : {}),
        'X-Request-Id': requestId,
        ...allowance?.fields(),
        ...(deprecation === undefined ? {} : deprecationFields(deprecation)),
        ...response.headers,
        ...this.#cors.fields(headers, response.headers['Vary']),
      },
    };
  }
}

function readAsked(headers: ReadonlyMap<string, string>): Asked {
  const given = headers.get('x-request-id');
  return {
    headers,
    requestId: given !== undefined && REQUEST_ID.test(given) ? given : randomUUID(),
    traceId: readTraceId(headers),
  };
}

/** The same request, whose body is charged as it was sent. */
function chargeBody(request: HttpRequest, allowance: Allowance): HttpRequest {
  return {
    ...request,
    async readBody(maxBytes) {
      const body = await request.readBody(maxBytes);
      allowance.charge(body.byteLength);
      return body;
    },
  };
}

/** Parameters that the route does not describe are refused; one that describes nothing looks after them itself. */
function checkNames(query: URLSearchParams, { operation }: Route): void {
  if (operation !== undefined) checkQueryNames(query, operation.query);
}
