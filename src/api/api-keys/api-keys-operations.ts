/**
 * What the routes of `/api-keys` take and answer.
 */
import { type Static, Type } from 'typebox';
import { ScopeSchema } from '../auth/grants.ts';
import { ETAG_HEADER, exampleList, IfMatchHeader, ListOf, ListQuery } from '../list-schemas.ts';
import { jsonAnswer, jsonContent, type Operation } from '../openapi/operation.ts';
import { EXAMPLE_TIME, Nullable, Timestamp } from '../openapi/schemas.ts';
import { formatTime } from '../time-input.ts';
import type { ApiKey } from './api-keys.ts';

/** Keys lie in files of other programs: none of them may manage anything. */
export const KEY_ROLES = ['analyst', 'viewer', 'writer'] as const;
export const MAX_KEY_NAME = 128;
const KeyRole = Type.Enum(KEY_ROLES);
const KeyName = Type.String({ minLength: 1, maxLength: MAX_KEY_NAME, description: 'What the key is for' });
const Expiry = Type.String({
  description: 'RFC 3339, or such as `now+90d`; from then on the key is refused',
});

export const NewKeyBody = Type.Object(
  { name: KeyName, role: KeyRole, scope: Type.Optional(ScopeSchema), expires_at: Type.Optional(Expiry) },
  { $id: 'NewApiKey', additionalProperties: false },
);

/** What is absent stays as it is; the scope `{}` is all, an expiry of null is none. */
export const KeyChangeBody = Type.Object(
  {
    name: Type.Optional(KeyName),
    role: Type.Optional(KeyRole),
    scope: Type.Optional(ScopeSchema),
    expires_at: Type.Optional(Nullable(Expiry)),
  },
  { $id: 'ApiKeyChange', additionalProperties: false, minProperties: 1 },
);

const KeySchema = Type.Object(
  {
    id: Type.String(),
    prefix: Type.String({ description: 'How the key begins' }),
    name: Type.String(),
    role: KeyRole,
    scope: ScopeSchema,
    status: Type.Enum(['active', 'expired', 'revoked'] as const),
    expires_at: Nullable(Timestamp),
    changed_at: Timestamp,
    changed_by: Type.String(),
  },
  { $id: 'ApiKeyVersion', additionalProperties: false },
);
const UsedKeySchema = Type.Object(
  { ...KeySchema.properties, last_used_at: Nullable(Timestamp) },
  { $id: 'ApiKey', additionalProperties: false },
);
const CreatedKeySchema = Type.Object(
  { ...UsedKeySchema.properties, key: Type.String({ description: 'The key itself. It is not shown again' }) },
  { $id: 'CreatedApiKey', additionalProperties: false },
);

const EXAMPLE: Static<typeof KeySchema> = {
  id: '4f9c1d2e7a80',
  prefix: 'mr_4f9c1d2e7a80',
  name: 'shipper of the web hosts',
  role: 'writer',
  scope: { services: ['web'] },
  status: 'active',
  expires_at: null,
  changed_at: EXAMPLE_TIME,
  changed_by: 'admin',
};
const USED_EXAMPLE = { ...EXAMPLE, last_used_at: EXAMPLE_TIME };

export function toKeyJson(key: ApiKey, nowMs: number) {
  const { id, name, role, scope, expiresMs, changedAt, changedBy } = key;
  return {
    id,
    prefix: `mr_${id}`,
    name,
    // No key has another role: `api-keys.ts` refuses it.
    role: role as Static<typeof KeyRole>,
    scope,
    status: statusOf(key, nowMs),
    expires_at: expiresMs === undefined ? null : formatTime(expiresMs * 1000),
    changed_at: changedAt,
    changed_by: changedBy,
  };
}

function statusOf({ isRevoked, expiresMs }: ApiKey, nowMs: number): Static<typeof KeySchema>['status'] {
  if (isRevoked) return 'revoked';
  return expiresMs !== undefined && expiresMs <= nowMs ? 'expired' : 'active';
}

const oneKey = (description: string) => ({
  ...jsonAnswer(description, UsedKeySchema, USED_EXAMPLE),
  headers: ETAG_HEADER,
});

export const LIST_KEYS: Operation = {
  id: 'listApiKeys',
  summary: 'API keys in the order of their ids, expired and revoked ones too',
  tag: 'users',
  query: ListQuery,
  answers: { 200: jsonAnswer('One page', ListOf(UsedKeySchema, 'ApiKeyList'), exampleList(USED_EXAMPLE)) },
};

export const CREATE_KEY: Operation = {
  id: 'createApiKey',
  summary: 'Make an API key',
  description: 'Only the hash of the key is kept: what is answered here is not shown again.',
  tag: 'users',
  body: jsonContent(NewKeyBody, { name: 'shipper of the web hosts', role: 'writer' }),
  answers: {
    201: {
      ...jsonAnswer('Made', CreatedKeySchema, {
        ...EXAMPLE,
        last_used_at: null,
        key: 'mr_4f9c1d2e7a80_47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU',
      }),
      headers: ETAG_HEADER,
    },
  },
  problems: ['unprocessable'],
};

export const GET_KEY: Operation = {
  id: 'getApiKey',
  summary: 'One API key',
  tag: 'users',
  answers: { 200: oneKey('The key, without its secret') },
  problems: ['not_found'],
};

export const CHANGE_KEY: Operation = {
  id: 'changeApiKey',
  summary: 'Change name, role, scope or expiry of a key',
  tag: 'users',
  headers: IfMatchHeader,
  body: jsonContent(KeyChangeBody, { expires_at: '2027-01-01T00:00:00Z' }),
  answers: { 200: oneKey('Changed') },
  problems: ['not_found', 'precondition_failed', 'unprocessable'],
};

export const REVOKE_KEY: Operation = {
  id: 'revokeApiKey',
  summary: 'Revoke a key, for good',
  description: 'It is refused at once here and within seconds by every other instance.',
  tag: 'users',
  headers: IfMatchHeader,
  answers: { 204: { description: 'Revoked' } },
  problems: ['not_found', 'precondition_failed', 'unprocessable'],
};

export const KEY_HISTORY: Operation = {
  id: 'listApiKeyVersions',
  summary: 'What a key was, newest first',
  tag: 'users',
  query: ListQuery,
  answers: {
    200: jsonAnswer('One page', ListOf(KeySchema, 'ApiKeyHistory'), exampleList(EXAMPLE)),
  },
  problems: ['not_found'],
};
