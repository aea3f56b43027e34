/**
 * `/auth/…`: login, refresh, logout, me; and who is asking on every other route.
 */
import { MillraceError, quoteValue } from '../../errors.ts';
import type { Telemetry } from '../../telemetry.ts';
import type { HttpRequest, HttpResponse } from '../http/port.ts';
import { readJson } from '../json-body.ts';
import { jsonResponse, problemResponse } from '../problem.ts';
import type { Principal, PublicContext, Route } from '../route.ts';
import { UNSCOPED } from '../scope.ts';
import { LOGIN, LOGOUT, LoginBody, ME, REFRESH, RefreshBody } from './auth-operations.ts';
import type { CurrentUsers } from './current-users.ts';
import type { LoginLimiter } from './login-limiter.ts';
import type { EndedSessions } from './sessions.ts';
import { type TokenPair, type Tokens, unauthorized } from './tokens.ts';
import type { User, Users } from './users.ts';

export interface AuthPorts {
  readonly users: Users;
  readonly tokens: Tokens;
  readonly limiter: LoginLimiter;
  readonly endedSessions: EndedSessions;
  readonly currentUsers: CurrentUsers;
  readonly telemetry: Telemetry;
}

const BEARER = /^Bearer +([\w~+/.-]+=*)$/i;

/** The subject of the request's token; throws `unauthorized`. */
export async function authenticate(request: HttpRequest, ports: AuthPorts): Promise<Principal> {
  const [, token] = BEARER.exec(request.headers.get('authorization') ?? '') ?? [];
  if (token === undefined) throw unauthorized();
  const claims = ports.tokens.verifyAccess(token);
  const isCurrent = await ports.currentUsers.accepts(claims);
  if (!isCurrent || ports.endedSessions.has(claims.sessionId)) throw unauthorized();
  return { ...claims, scope: UNSCOPED };
}

export function authRoutes(ports: AuthPorts): Route[] {
  return [
    {
      method: 'POST',
      path: '/auth/login',
      access: 'public',
      operation: LOGIN,
      handle: (context) => login(context, ports),
    },
    {
      method: 'POST',
      path: '/auth/refresh',
      access: 'public',
      operation: REFRESH,
      handle: (context) => refresh(context, ports),
    },
    {
      method: 'POST',
      path: '/auth/logout',
      access: 'signed_in',
      operation: LOGOUT,
      handle: async ({ principal }) => {
        ports.endedSessions.end(principal.sessionId);
        return { status: 204, headers: {} };
      },
    },
    {
      method: 'GET',
      path: '/auth/me',
      access: 'signed_in',
      operation: ME,
      handle: async ({ principal: { username, role } }) => jsonResponse({ username, role }),
    },
  ];
}

async function login({ request, requestId }: PublicContext, ports: AuthPorts): Promise<HttpResponse> {
  const { users, tokens, limiter, telemetry } = ports;
  const { username, password } = await readJson(request, LoginBody);
  const waitSeconds = limiter.attempt(username, request.remoteAddress);
  if (waitSeconds > 0) {
    const error = new MillraceError('too_many_requests', `Too many failed logins: wait ${waitSeconds} s.`);
    return problemResponse(error, { requestId, headers: { 'Retry-After': String(waitSeconds) } });
  }
  const user = await users.verify(username, password);
  if (user === undefined) {
    telemetry.emit('login_failed', { username: quoteValue(username), address: request.remoteAddress });
    throw new MillraceError('unauthorized', 'User name or password is wrong.');
  }
  limiter.succeeded(username, request.remoteAddress);
  ports.currentUsers.learn(user);
  return tokenResponse(tokens.issue(toSubject(user)));
}

async function refresh({ request }: PublicContext, ports: AuthPorts): Promise<HttpResponse> {
  const body = await readJson(request, RefreshBody);
  const claims = ports.tokens.verifyRefresh(body.refresh_token);
  if (ports.endedSessions.has(claims.sessionId)) throw unauthorized();
  const user = await ports.users.find(claims.username);
  // A changed password or role is a new version: older refresh tokens end there.
  if (user === undefined || user.isDisabled || user.version !== claims.version) throw unauthorized();
  ports.currentUsers.learn(user);
  return tokenResponse(ports.tokens.issue(toSubject(user), claims.sessionId));
}

function toSubject({ name, role, version }: User) {
  return { username: name, role, version };
}

function tokenResponse(pair: TokenPair): HttpResponse {
  return jsonResponse({
    access_token: pair.accessToken,
    token_type: 'Bearer',
    expires_in: pair.expiresInSeconds,
    refresh_token: pair.refreshToken,
  });
}
