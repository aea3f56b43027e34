/**
 * `/api-keys`: secrets of other programs, each with a role and a scope. For admins only.
 */
import { MillraceError, quoteValue } from '../../errors.ts';
import { toScope } from '../auth/grants.ts';
import type { HttpResponse } from '../http/port.ts';
import { readJson } from '../json-body.ts';
import { decodeKeyset, encodeKeyset } from '../keyset-cursor.ts';
import { ListQuery, pageInfo } from '../list-schemas.ts';
import { jsonResponse } from '../problem.ts';
import { readQuery } from '../read-query.ts';
import type { RequestContext, Route } from '../route.ts';
import { formatTime, parseTime } from '../time-input.ts';
import { readVersions } from '../version-history.ts';
import { checkIfMatch, versionedResponse } from '../versioned.ts';
import type { ApiKey, ApiKeyTable } from './api-keys.ts';
import {
  CHANGE_KEY,
  CREATE_KEY,
  GET_KEY,
  KEY_HISTORY,
  KeyChangeBody,
  LIST_KEYS,
  NewKeyBody,
  REVOKE_KEY,
  toKeyJson,
} from './api-keys-operations.ts';
import type { CurrentKeys } from './current-keys.ts';

export interface ApiKeysPorts {
  readonly keys: ApiKeyTable;
  readonly currentKeys: CurrentKeys;
  readonly cursorSecret: Buffer;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

const BINDING = 'api-keys';

export function apiKeysRoutes(ports: ApiKeysPorts): Route[] {
  const access = 'manage';
  const list = { path: '/api-keys', access } as const;
  const one = { path: '/api-keys/:id', access } as const;
  return [
    {
      ...list,
      method: 'GET',
      operation: LIST_KEYS,
      handle: (context: RequestContext) => listKeys(context, ports),
    },
    {
      ...list,
      method: 'POST',
      operation: CREATE_KEY,
      audit: 'key.create',
      handle: (context: RequestContext) => createKey(context, ports),
    },
    {
      ...one,
      method: 'GET',
      operation: GET_KEY,
      handle: (context: RequestContext) => getKey(context, ports),
    },
    {
      ...one,
      method: 'PATCH',
      operation: CHANGE_KEY,
      audit: 'key.change',
      handle: (context: RequestContext) => changeKey(context, ports),
    },
    {
      ...one,
      method: 'DELETE',
      operation: REVOKE_KEY,
      audit: 'key.revoke',
      handle: (context: RequestContext) => revokeKey(context, ports),
    },
    {
      method: 'GET',
      path: '/api-keys/:id/history',
      access,
      operation: KEY_HISTORY,
      handle: (context: RequestContext) => listVersions(context, ports),
    },
  ];
}

async function listKeys({ query }: RequestContext, ports: ApiKeysPorts): Promise<HttpResponse> {
  const { limit, cursor } = readQuery(query, ListQuery);
  const seal = { binding: BINDING, secret: ports.cursorSecret };
  const after = cursor === undefined ? undefined : String(decodeKeyset(cursor, seal)[0]);
  const found = await ports.keys.page({ after, limit: limit + 1 });
  const page = found.slice(0, limit);
  const last = found.length > limit ? page.at(-1) : undefined;
  const next = last === undefined ? null : encodeKeyset([last.id], seal);
  return jsonResponse({ data: await withUses(page, ports), page: pageInfo(limit, next) });
}

async function createKey(
  { request, principal, audit }: RequestContext,
  { keys, currentKeys, now }: ApiKeysPorts,
): Promise<HttpResponse> {
  const { name, role, scope = {}, expires_at } = await readJson(request, NewKeyBody);
  audit.detail = { name, role, scope, expires_at };
  const expiresMs = expires_at === undefined ? undefined : expiryOf(expires_at, now());
  const { key, text } = await keys.add({ name, role, scope: toScope(scope), expiresMs }, principal.username);
  audit.target = key.id;
  currentKeys.learn(key);
  const shown = { ...toKeyJson(key, now()), last_used_at: null, key: text };
  const response = versionedResponse(shown, key.version, 201);
  return { ...response, headers: { ...response.headers, Location: `/api/v1/api-keys/${key.id}` } };
}

async function getKey({ params }: RequestContext, ports: ApiKeysPorts): Promise<HttpResponse> {
  const id = params['id'] ?? '';
  const key = await ports.keys.find(id);
  if (key === undefined) throw noKey(id);
  return await keyResponse(key, ports);
}

async function changeKey(
  { request, principal, params, audit }: RequestContext,
  ports: ApiKeysPorts,
): Promise<HttpResponse> {
  const { name, role, scope, expires_at } = await readJson(request, KeyChangeBody);
  audit.detail = { name, role, scope, expires_at };
  const change = {
    name,
    role,
    scope: scope === undefined ? undefined : toScope(scope),
    expiresMs: typeof expires_at === 'string' ? expiryOf(expires_at, ports.now()) : expires_at,
  };
  const key = await ports.keys.change(params['id'] ?? '', change, {
    changedBy: principal.username,
    check: ({ version }) => checkIfMatch(request, version),
  });
  ports.currentKeys.learn(key);
  return await keyResponse(key, ports);
}

async function revokeKey(
  { request, principal, params }: RequestContext,
  { keys, currentKeys }: ApiKeysPorts,
): Promise<HttpResponse> {
  const change = { isRevoked: true } as const;
  const key = await keys.change(params['id'] ?? '', change, {
    changedBy: principal.username,
    check: ({ version }) => checkIfMatch(request, version),
  });
  currentKeys.learn(key);
  return { status: 204, headers: {} };
}

async function listVersions(
  { params, query }: RequestContext,
  { keys, now, cursorSecret: secret }: ApiKeysPorts,
): Promise<HttpResponse> {
  const asked = readQuery(query, ListQuery);
  const id = params['id'] ?? '';
  const seal = { binding: `${BINDING} history ${id}`, secret };
  const { versions, next } = await readVersions(asked, seal, (range) => keys.history(id, range));
  if (versions.length === 0) throw noKey(id);
  const nowMs = now();
  return jsonResponse({
    data: versions.map((key) => toKeyJson(key, nowMs)),
    page: pageInfo(asked.limit, next),
  });
}

async function keyResponse(key: ApiKey, ports: ApiKeysPorts): Promise<HttpResponse> {
  const [shown] = await withUses([key], ports);
  return versionedResponse(shown ?? {}, key.version);
}

async function withUses(found: readonly ApiKey[], { keys, now }: ApiKeysPorts) {
  const uses = await keys.lastUses(found.map(({ id }) => id));
  const nowMs = now();
  return found.map((key) => {
    const usedMs = uses.get(key.id);
    return {
      ...toKeyJson(key, nowMs),
      last_used_at: usedMs === undefined ? null : formatTime(usedMs * 1000),
    };
  });
}

/** Throws `bad_request` for what is no time, `unprocessable` for one that is over. */
function expiryOf(text: string, nowMs: number): number {
  const expiresMs = Math.floor(parseTime('expires_at', text, nowMs) / 1000);
  if (expiresMs > nowMs) return expiresMs;
  throw new MillraceError('unprocessable', `expires_at must be later than now; got ${quoteValue(text)}.`);
}

function noKey(id: string): MillraceError {
  return new MillraceError('not_found', `There is no key ${quoteValue(id)}.`);
}
