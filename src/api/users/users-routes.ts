/**
 * `/users`: who may use the API, with which role and scope. For admins only.
 */
import { MillraceError, quoteValue } from '../../errors.ts';
import type { CurrentUsers } from '../auth/current-users.ts';
import { toScope } from '../auth/grants.ts';
import type { User, Users } from '../auth/users.ts';
import type { HttpResponse } from '../http/port.ts';
import { readJson } from '../json-body.ts';
import { decodeKeyset, encodeKeyset } from '../keyset-cursor.ts';
import { ListQuery, pageInfo } from '../list-schemas.ts';
import { jsonResponse } from '../problem.ts';
import { readQuery } from '../read-query.ts';
import type { RequestContext, Route } from '../route.ts';
import { readVersions } from '../version-history.ts';
import { checkIfMatch, versionedResponse } from '../versioned.ts';
import {
  CHANGE_USER,
  CREATE_USER,
  GET_USER,
  LIST_USERS,
  NewUserBody,
  REMOVE_USER,
  toUserJson,
  toUserVersionJson,
  USER_HISTORY,
  UserChangeBody,
} from './users-operations.ts';

export interface UsersPorts {
  readonly users: Users;
  readonly currentUsers: CurrentUsers;
  readonly cursorSecret: Buffer;
}

const BINDING = 'users';

export function usersRoutes(ports: UsersPorts): Route[] {
  const list = { path: '/users', access: 'manage' } as const;
  const one = { path: '/users/:name', access: 'manage' } as const;
  return [
    {
      ...list,
      method: 'GET',
      operation: LIST_USERS,
      handle: (context: RequestContext) => listUsers(context, ports),
    },
    {
      ...list,
      method: 'POST',
      operation: CREATE_USER,
      audit: 'user.create',
      handle: (context: RequestContext) => createUser(context, ports),
    },
    {
      ...one,
      method: 'GET',
      operation: GET_USER,
      handle: (context: RequestContext) => getUser(context, ports),
    },
    {
      ...one,
      method: 'PATCH',
      operation: CHANGE_USER,
      audit: 'user.change',
      handle: (context: RequestContext) => changeUser(context, ports),
    },
    {
      ...one,
      method: 'DELETE',
      operation: REMOVE_USER,
      audit: 'user.remove',
      handle: (context: RequestContext) => removeUser(context, ports),
    },
    {
      method: 'GET',
      path: '/users/:name/history',
      access: 'manage',
      operation: USER_HISTORY,
      handle: (context: RequestContext) => listVersions(context, ports),
    },
  ];
}

async function listUsers(
  { request, query }: RequestContext,
  { users, cursorSecret: secret }: UsersPorts,
): Promise<HttpResponse> {
  const { limit, cursor } = readQuery(query, ListQuery);
  const seal = { binding: BINDING, secret };
  const after = cursor === undefined ? undefined : String(decodeKeyset(cursor, seal)[0]);
  const found = await users.list({ signal: request.signal }, { after, limit: limit + 1 });
  const page = found.slice(0, limit);
  const last = found.length > limit ? page.at(-1) : undefined;
  const next = last === undefined ? null : encodeKeyset([last.name], seal);
  return jsonResponse({ data: page.map(toUserJson), page: pageInfo(limit, next) });
}

async function createUser(
  { request, principal, audit }: RequestContext,
  { users, currentUsers }: UsersPorts,
): Promise<HttpResponse> {
  const { username: name, password, role, scope } = await readJson(request, NewUserBody);
  audit.target = name;
  audit.detail = { role, scope };
  const created = { name, password, role, scope: toScope(scope ?? {}) };
  const user = await users.add(created, principal.username);
  currentUsers.learn(user);
  const response = userResponse(user, 201);
  return { ...response, headers: { ...response.headers, Location: `/api/v1/users/${name}` } };
}

async function getUser({ params }: RequestContext, { users }: UsersPorts): Promise<HttpResponse> {
  const name = params['name'] ?? '';
  const user = await users.find(name);
  if (user === undefined) throw noUser(name);
  return userResponse(user);
}

async function changeUser(
  { request, principal, params, audit }: RequestContext,
  { users, currentUsers }: UsersPorts,
): Promise<HttpResponse> {
  const { role, scope, password, disabled } = await readJson(request, UserChangeBody);
  audit.detail = { role, scope, disabled, password: password === undefined ? undefined : 'changed' };
  const change = {
    role,
    scope: scope === undefined ? undefined : toScope(scope),
    password,
    isDisabled: disabled,
  };
  const user = await users.change(params['name'] ?? '', change, {
    changedBy: principal.username,
    check: ({ version }) => checkIfMatch(request, version),
  });
  currentUsers.learn(user);
  return userResponse(user);
}

async function removeUser(
  { request, principal, params }: RequestContext,
  { users, currentUsers }: UsersPorts,
): Promise<HttpResponse> {
  const user = await users.remove(params['name'] ?? '', {
    changedBy: principal.username,
    check: ({ version }) => checkIfMatch(request, version),
  });
  currentUsers.learn(user);
  return { status: 204, headers: {} };
}

async function listVersions(
  { params, query }: RequestContext,
  { users, cursorSecret: secret }: UsersPorts,
): Promise<HttpResponse> {
  const asked = readQuery(query, ListQuery);
  const name = params['name'] ?? '';
  const seal = { binding: `${BINDING} history ${name}`, secret };
  const { versions, next } = await readVersions(asked, seal, (range) => users.history(name, range));
  if (versions.length === 0) throw noUser(name);
  return jsonResponse({ data: versions.map(toUserVersionJson), page: pageInfo(asked.limit, next) });
}

function userResponse(user: User, status = 200): HttpResponse {
  return versionedResponse(toUserJson(user), user.version, status);
}

function noUser(name: string): MillraceError {
  return new MillraceError('not_found', `There is no user ${quoteValue(name)}.`);
}
