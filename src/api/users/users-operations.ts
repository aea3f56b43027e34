/**
 * What the routes of `/users` take and answer.
 */
import { Type } from 'typebox';
import { ScopeSchema } from '../auth/grants.ts';
import type { User, UserVersion } from '../auth/user-table.ts';
import { ETAG_HEADER, exampleList, IfMatchHeader, ListOf, ListQuery } from '../list-schemas.ts';
import { jsonAnswer, jsonContent, type Operation } from '../openapi/operation.ts';
import { EXAMPLE_TIME, Timestamp } from '../openapi/schemas.ts';
import { ROLES } from '../route.ts';

const Role = Type.Enum([...ROLES]);

export const NewUserBody = Type.Object(
  {
    username: Type.String({ description: '1 to 64 letters, digits and . _ @ -' }),
    password: Type.String({ description: '8 to 256 characters' }),
    role: Role,
    scope: Type.Optional(ScopeSchema),
  },
  { $id: 'NewUser', additionalProperties: false },
);

/** What is absent stays as it is; the scope `{}` is all. */
export const UserChangeBody = Type.Object(
  {
    role: Type.Optional(Role),
    scope: Type.Optional(ScopeSchema),
    password: Type.Optional(Type.String()),
    disabled: Type.Optional(Type.Boolean()),
  },
  { $id: 'UserChange', additionalProperties: false, minProperties: 1 },
);

const UserSchema = Type.Object(
  {
    username: Type.String(),
    role: Role,
    scope: ScopeSchema,
    disabled: Type.Boolean(),
    changed_at: Timestamp,
    changed_by: Type.String(),
  },
  { $id: 'User', additionalProperties: false },
);
const UserVersionSchema = Type.Object(
  { ...UserSchema.properties, removed: Type.Boolean() },
  { $id: 'UserVersion', additionalProperties: false },
);

const EXAMPLE = {
  username: 'ann',
  role: 'analyst',
  scope: { services: ['web'], environments: ['production'] },
  disabled: false,
  changed_at: EXAMPLE_TIME,
  changed_by: 'admin',
};

export function toUserJson({ name, role, scope, isDisabled, changedAt, changedBy }: User) {
  return {
    username: name,
    role,
    scope,
    disabled: isDisabled,
    changed_at: changedAt,
    changed_by: changedBy,
  };
}

export function toUserVersionJson(version: UserVersion) {
  return { ...toUserJson(version), removed: version.isRemoved };
}

const oneUser = (description: string) => ({
  ...jsonAnswer(description, UserSchema, EXAMPLE),
  headers: ETAG_HEADER,
});

export const LIST_USERS: Operation = {
  id: 'listUsers',
  summary: 'Users in the order of their names',
  tag: 'users',
  query: ListQuery,
  answers: { 200: jsonAnswer('One page', ListOf(UserSchema, 'UserList'), exampleList(EXAMPLE)) },
};

export const CREATE_USER: Operation = {
  id: 'createUser',
  summary: 'Add a user',
  tag: 'users',
  body: jsonContent(NewUserBody, { username: 'ann', password: 'correct horse battery', role: 'viewer' }),
  answers: { 201: oneUser('Added') },
  problems: ['already_exists', 'unprocessable'],
};

export const GET_USER: Operation = {
  id: 'getUser',
  summary: 'One user',
  tag: 'users',
  answers: { 200: oneUser('The user') },
  problems: ['not_found'],
};

export const CHANGE_USER: Operation = {
  id: 'changeUser',
  summary: 'Change role, scope or password of a user, disable or enable',
  description:
    'Ends the tokens of the user within seconds. The last admin that is not disabled keeps role and access.',
  tag: 'users',
  headers: IfMatchHeader,
  body: jsonContent(UserChangeBody, { disabled: true }),
  answers: { 200: oneUser('Changed') },
  problems: ['not_found', 'precondition_failed', 'unprocessable'],
};

export const REMOVE_USER: Operation = {
  id: 'removeUser',
  summary: 'Remove a user',
  tag: 'users',
  headers: IfMatchHeader,
  answers: { 204: { description: 'Removed' } },
  problems: ['not_found', 'precondition_failed', 'unprocessable'],
};

export const USER_HISTORY: Operation = {
  id: 'listUserVersions',
  summary: 'What a user was, newest first',
  tag: 'users',
  query: ListQuery,
  answers: {
    200: jsonAnswer(
      'One page',
      ListOf(UserVersionSchema, 'UserHistory'),
      exampleList({ ...EXAMPLE, removed: false }),
    ),
  },
  problems: ['not_found'],
};
