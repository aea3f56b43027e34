/**
 * `/auth/…`: login, refresh, logout, me, password and tickets; and who is asking on every other route.
 */
import { MillraceError } from '../../errors.ts';
import { type CurrentKeys, isKeyName } from '../api-keys/current-keys.ts';
import { keyTextOf } from '../api-keys/key-text.ts';
import type { HttpRequest, HttpResponse } from '../http/port.ts';
import { readJson } from '../json-body.ts';
import { jsonResponse, problemResponse } from '../problem.ts';
import type { Principal, PublicContext, RequestContext, Route } from '../route.ts';
import { isScoped, scopeText } from '../scope.ts';
import {
  CHANGE_PASSWORD,
  CREATE_TICKET,
  JWKS,
  LOGIN,
  LOGOUT,
  LoginBody,
  ME,
  PasswordBody,
  REFRESH,
  RefreshBody,
} from './auth-operations.ts';
import type { CurrentUsers } from './current-users.ts';
import type { KeyRing } from './key-ring.ts';
import type { PasswordGate } from './password-gate.ts';
import { checkPassword } from './passwords.ts';
import type { Sessions } from './sessions.ts';
import { TICKET_SECONDS } from './token-lifetimes.ts';
import { type AccessClaims, isLocal, type TokenPair, type Tokens, unauthorized } from './tokens.ts';
import type { User, Users } from './users.ts';
import { toJwk } from './verifying-key.ts';

export interface AuthPorts {
  readonly users: Users;
  readonly tokens: Tokens;
  readonly keyRing: KeyRing;
  readonly sessions: Sessions;
  readonly passwordGate: PasswordGate;
  readonly currentUsers: CurrentUsers;
  readonly currentKeys: CurrentKeys;
}

export interface AuthenticateOptions {
  /** Whether the route takes `?ticket=` from those who cannot send headers. */
  readonly takesTicket: boolean;
}

const BEARER = /^Bearer +([\w~+/.-]+=*)$/i;
const KEY_SET_HEADERS = { 'Cache-Control': 'public, max-age=60' };

/** Who has the request's API key, or is the subject of its token or ticket; throws `unauthorized`. */
export async function authenticate(
  request: HttpRequest,
  ports: AuthPorts,
  options: AuthenticateOptions,
): Promise<Principal> {
  const key = keyTextOf(request);
  if (key !== undefined) {
    const principal = await ports.currentKeys.principalOf(key);
    if (principal === undefined) throw unauthorized();
    const isCurrent = async (): Promise<boolean> =>
      grantOf(await ports.currentKeys.principalOf(key)) === grantOf(principal);
    return { ...principal, isCurrent };
  }
  const claims = await readClaims(request, ports, options);
  const principal = await principalOf(claims, ports);
  if (principal === undefined) throw unauthorized();
  const isCurrent = async (): Promise<boolean> => (await principalOf(claims, ports)) !== undefined;
  return { ...principal, isCurrent };
}

/** Undefined when the session has ended, or the user is not what the claims say any more. */
async function principalOf(claims: AccessClaims, ports: AuthPorts): Promise<Principal | undefined> {
  const scope = await ports.currentUsers.scopeOf(claims);
  const hasEnded = await ports.sessions.hasEnded(claims.sessionId);
  if (scope === undefined || hasEnded === true) return undefined;
  if (hasEnded === undefined && !isLocal(claims)) {
    throw new MillraceError('store_unavailable', 'Whether the session has ended could not be read.');
  }
  return { ...claims, scope };
}

function grantOf(principal: Principal | undefined): string | undefined {
  return principal && `${principal.role} ${scopeText(principal.scope)}`;
}

async function readClaims(
  request: HttpRequest,
  { tokens, sessions }: AuthPorts,
  { takesTicket }: AuthenticateOptions,
): Promise<AccessClaims> {
  const authorization = request.headers.get('authorization');
  if (authorization === undefined && takesTicket) {
    const [ticket = '', ...more] = new URLSearchParams(request.query).getAll('ticket');
    if (more.length > 0) throw unauthorized();
    const claims = await tokens.verifyTicket(ticket);
    await sessions.useTicket(claims, request.remoteAddress);
    return claims;
  }
  const [, token] = BEARER.exec(authorization ?? '') ?? [];
  if (token === undefined) throw unauthorized();
  return await tokens.verifyAccess(token);
}

export function authRoutes(ports: AuthPorts): Route[] {
  return [...openRoutes(ports), ...sessionRoutes(ports)];
}

function openRoutes(ports: AuthPorts): Route[] {
  return [
    {
      method: 'POST',
      path: '/auth/login',
      access: 'public',
      audit: 'auth.login',
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
      method: 'GET',
      path: '/.well-known/jwks.json',
      isBare: true,
      access: 'public',
      operation: JWKS,
      handle: async () => {
        const { headers, ...response } = jsonResponse({ keys: (await ports.keyRing.all()).map(toJwk) });
        return { ...response, headers: { ...headers, ...KEY_SET_HEADERS } };
      },
    },
  ];
}

function sessionRoutes(ports: AuthPorts): Route[] {
  return [
    {
      method: 'POST',
      path: '/auth/logout',
      access: 'signed_in',
      audit: 'auth.logout',
      operation: LOGOUT,
      handle: async ({ principal }) => {
        checkIsUser(principal);
        await ports.sessions.end(principal, 'logout');
        return { status: 204, headers: {} };
      },
    },
    {
      method: 'GET',
      path: '/auth/me',
      access: 'signed_in',
      operation: ME,
      handle: async ({ principal: { username, role, scope } }) =>
        jsonResponse({ username, role, ...(isScoped(scope) && { scope }) }),
    },
    {
      method: 'POST',
      path: '/auth/password',
      access: 'signed_in',
      audit: 'auth.password',
      operation: CHANGE_PASSWORD,
      handle: (context) => changePassword(context, ports),
    },
    {
      method: 'POST',
      path: '/auth/ticket',
      access: 'signed_in',
      operation: CREATE_TICKET,
      handle: ({ principal }) => createTicket(principal, ports),
    },
  ];
}

async function login({ request, requestId, audit }: PublicContext, ports: AuthPorts): Promise<HttpResponse> {
  const credentials = await readJson(request, LoginBody);
  audit.actor = credentials.username;
  const verdict = await ports.passwordGate.check({ ...credentials, address: request.remoteAddress });
  if (verdict.kind === 'wait') return waitResponse(verdict.seconds, requestId);
  if (verdict.kind === 'wrong') throw new MillraceError('unauthorized', 'User name or password is wrong.');
  const { user } = verdict;
  ports.currentUsers.learn(user);
  return tokenResponse(await ports.tokens.issue(toSubject(user)));
}

async function refresh({ request, audit }: PublicContext, ports: AuthPorts): Promise<HttpResponse> {
  const { users, tokens, sessions, currentUsers } = ports;
  const body = await readJson(request, RefreshBody);
  const claims = await tokens.verifyRefresh(body.refresh_token);
  const user = await users.find(claims.username);
  // A changed password or role is a new version: older refresh tokens end there.
  if (user === undefined || user.isDisabled || user.version !== claims.version) throw unauthorized();
  await sessions.useRefreshToken(claims, request.remoteAddress, () => {
    // Only this is audited: who refreshes does nothing new.
    audit.action = 'auth.refresh_reuse';
    audit.actor = claims.username;
    audit.target = claims.username;
  });
  currentUsers.learn(user);
  return tokenResponse(await tokens.reissue(toSubject(user), claims));
}

/** All other sessions end with the old password; this one goes on with the tokens of the answer. */
async function changePassword(
  { request, requestId, principal }: RequestContext,
  ports: AuthPorts,
): Promise<HttpResponse> {
  const { users, tokens, currentUsers, passwordGate } = ports;
  checkIsUser(principal);
  const { username, sessionId } = principal;
  const { current_password: password, new_password: newPassword } = await readJson(request, PasswordBody);
  checkPassword(newPassword);
  const verdict = await passwordGate.check({ username, password, address: request.remoteAddress });
  if (verdict.kind === 'wait') return waitResponse(verdict.seconds, requestId);
  // Not 401: the token is good, and who sent it must not be made to log in again.
  if (verdict.kind === 'wrong') throw new MillraceError('forbidden', 'current_password is wrong.');
  if (newPassword === password) throw new MillraceError('unprocessable', 'The new password is the old one.');
  await users.setPassword(username, newPassword, username);
  const user = await users.find(username);
  if (user === undefined) throw unauthorized();
  currentUsers.learn(user);
  return tokenResponse(await tokens.issue(toSubject(user), sessionId));
}

async function createTicket(principal: Principal, { users, tokens }: AuthPorts): Promise<HttpResponse> {
  checkIsUser(principal);
  const { username, sessionId } = principal;
  const user = await users.find(username);
  if (user === undefined || user.isDisabled) {
    throw new MillraceError('forbidden', 'Tickets are for users that are logged in.');
  }
  const ticket = await tokens.issueTicket(toSubject(user), sessionId);
  return jsonResponse({ ticket, expires_in: TICKET_SECONDS });
}

/** Throws `forbidden`: a key has no session and no password, and is revoked instead. */
function checkIsUser({ username }: Principal): void {
  if (isKeyName(username)) {
    throw new MillraceError('forbidden', 'This is for users that are logged in, not for keys.');
  }
}

function waitResponse(seconds: number, requestId: string): HttpResponse {
  const error = new MillraceError('too_many_requests', `Too many failed logins: wait ${seconds} s.`);
  return problemResponse(error, { requestId, headers: { 'Retry-After': String(seconds) } });
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
