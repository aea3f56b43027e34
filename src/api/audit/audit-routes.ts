/**
 * `GET /audit`: who did what, newest first. For admins only.
 */
import { type Static, Type } from 'typebox';
import type { QueryPort } from '../../pipeline/query-port.ts';
import type { HttpResponse } from '../http/port.ts';
import { decodeKeyset, encodeKeyset } from '../keyset-cursor.ts';
import { exampleList, ListOf, pageInfo } from '../list-schemas.ts';
import { bindingOf, readRange } from '../logs/logs-query.ts';
import { jsonAnswer, type Operation } from '../openapi/operation.ts';
import {
  AnyOf,
  CursorParam,
  EXAMPLE_TIME,
  FromParam,
  LimitParam,
  Timestamp,
  ToParam,
} from '../openapi/schemas.ts';
import { jsonResponse } from '../problem.ts';
import { selectLimited } from '../query-limits.ts';
import { readQuery } from '../read-query.ts';
import type { RequestContext, Route } from '../route.ts';
import { SqlConditions } from '../sql-conditions.ts';
import { formatTime } from '../time-input.ts';

export interface AuditRoutePorts {
  readonly store: QueryPort;
  readonly cursorSecret: Buffer;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

interface AuditRow {
  readonly id: string;
  readonly at_us: number;
  readonly actor: string;
  readonly action: string;
  readonly target: string;
  readonly outcome: string;
  readonly address: string;
  readonly request_id: string;
  readonly detail: string;
}

const AuditQuery = Type.Object({
  actor: AnyOf('User name, or `key:` and the id of a key'),
  action: AnyOf('Such as `auth.login` or `user.change`'),
  from: FromParam,
  to: ToParam,
  limit: LimitParam,
  cursor: CursorParam,
});

const AuditEvent = Type.Object(
  {
    at: Timestamp,
    actor: Type.String(),
    action: Type.String(),
    target: Type.String({ description: 'What it is about: a name or an id, empty where there is none' }),
    outcome: Type.String({ description: 'ok, denied (401, 403) or failed' }),
    address: Type.String({ description: 'Of the client; empty for the command line' }),
    request_id: Type.String(),
    detail: Type.Object({}, { additionalProperties: true, description: 'What was asked for' }),
  },
  { $id: 'AuditEvent', additionalProperties: false },
);

const EXAMPLE: Static<typeof AuditEvent> = {
  at: EXAMPLE_TIME,
  actor: 'admin',
  action: 'user.change',
  target: 'ann',
  outcome: 'ok',
  address: '127.0.0.1',
  request_id: '0b0f6c3e-5f52-4a0e-9b1c-3f1f8a8d2a11',
  detail: { disabled: true },
};

const LIST_AUDIT: Operation = {
  id: 'listAudit',
  summary: 'Who did what, newest first',
  tag: 'users',
  query: AuditQuery,
  answers: { 200: jsonAnswer('One page', ListOf(AuditEvent, 'AuditPage'), exampleList(EXAMPLE)) },
};

const MICROS = `fromUnixTimestamp64Micro(?1, 'UTC')`;

/** Where a page ended, and the range as it was at the first page. */
interface Place {
  readonly last: readonly [atUs: number, id: string] | undefined;
  readonly fromUs: number | undefined;
  readonly toUs: number | undefined;
}

export function auditRoutes(ports: AuditRoutePorts): Route[] {
  return [
    {
      method: 'GET',
      path: '/audit',
      access: 'manage',
      operation: LIST_AUDIT,
      handle: (context) => listAudit(context, ports),
    },
  ];
}

async function listAudit(
  { request, query, principal }: RequestContext,
  { store, cursorSecret: secret, now }: AuditRoutePorts,
): Promise<HttpResponse> {
  const values = readQuery(query, AuditQuery);
  const { limit } = values;
  const seal = { binding: `audit ${bindingOf(query, principal.scope)}`, secret };
  const place: Place =
    values.cursor === undefined
      ? { last: undefined, ...readRange(query, now()) }
      : toPlace(decodeKeyset(values.cursor, seal));
  const conditions = auditConditions(values, place);
  const sql = `SELECT id, toUnixTimestamp64Micro(at) AS at_us, actor, action, target, outcome, address, request_id, detail
FROM audit WHERE ${conditions.sql} ORDER BY at DESC, id DESC LIMIT 1 BY id LIMIT ${limit + 1}`;
  const { rows } = await selectLimited<AuditRow>(store, { sql, params: conditions.params }, request.signal);
  const page = rows.slice(0, limit);
  const last = rows.length > limit ? page.at(-1) : undefined;
  const next =
    last === undefined
      ? null
      : encodeKeyset([last.at_us, last.id, place.fromUs ?? null, place.toUs ?? null], seal);
  return jsonResponse({ data: page.map(toJson), page: pageInfo(limit, next) });
}

function auditConditions(
  { actor, action }: Static<typeof AuditQuery>,
  { last, fromUs, toUs }: Place,
): SqlConditions {
  const conditions = new SqlConditions();
  if (actor !== undefined) conditions.add('actor IN ?1', ['Array(String)', actor]);
  if (action !== undefined) conditions.add('action IN ?1', ['Array(String)', action]);
  if (fromUs !== undefined) conditions.add(`at >= ${MICROS}`, ['Int64', fromUs]);
  if (toUs !== undefined) conditions.add(`at < ${MICROS}`, ['Int64', toUs]);
  if (last === undefined) return conditions;
  const [atUs, id] = last;
  // The first condition follows from the second, and is the one that the primary key can use.
  conditions.add(`at <= ${MICROS}`, ['Int64', atUs]);
  conditions.add('(toUnixTimestamp64Micro(at), id) < (?1, ?2)', ['Int64', atUs], ['String', id]);
  return conditions;
}

function toPlace([atUs, id, fromUs, toUs]: ReturnType<typeof decodeKeyset>): Place {
  return {
    last: [Number(atUs), String(id)],
    fromUs: typeof fromUs === 'number' ? fromUs : undefined,
    toUs: typeof toUs === 'number' ? toUs : undefined,
  };
}

function toJson(row: AuditRow): Static<typeof AuditEvent> {
  const { at_us, actor, action, target, outcome, address, request_id } = row;
  const detail = JSON.parse(row.detail) as object;
  return { at: formatTime(at_us), actor, action, target, outcome, address, request_id, detail };
}
