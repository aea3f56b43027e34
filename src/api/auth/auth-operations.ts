/**
 * What the routes of `/auth` take and answer.
 */
import { Type } from 'typebox';
import { jsonAnswer, jsonContent, type Operation } from '../openapi/operation.ts';
import { ROLES } from '../route.ts';

export const LoginBody = Type.Object(
  {
    username: Type.String(),
    password: Type.String({ description: 'In clear: use HTTPS outside this machine' }),
  },
  { $id: 'Login' },
);
export const RefreshBody = Type.Object({ refresh_token: Type.String() }, { $id: 'Refresh' });

const TokenPair = Type.Object(
  {
    access_token: Type.String({ description: 'For `Authorization: Bearer …`' }),
    token_type: Type.Literal('Bearer'),
    expires_in: Type.Integer({ description: 'Seconds that the access token is valid' }),
    refresh_token: Type.String({ description: 'For `/auth/refresh`' }),
  },
  { $id: 'TokenPair' },
);
const EXAMPLE_TOKENS = {
  access_token: 'eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl',
  token_type: 'Bearer',
  expires_in: 900,
  refresh_token: 'eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJhbm4ifQ.cmVmcmVzaA',
};

const Me = Type.Object({ username: Type.String(), role: Type.Enum([...ROLES]) }, { $id: 'Me' });

export const LOGIN: Operation = {
  id: 'login',
  summary: 'Tokens for a name and a password',
  description:
    'Wrong names and wrong passwords are answered alike, and each failure makes the next attempt wait.',
  tag: 'auth',
  body: jsonContent(LoginBody, { username: 'ann', password: 'correct horse battery' }),
  answers: { 200: jsonAnswer('Logged in', TokenPair, EXAMPLE_TOKENS) },
  problems: ['unauthorized'],
};

export const REFRESH: Operation = {
  id: 'refresh',
  summary: 'New tokens for a refresh token',
  tag: 'auth',
  body: jsonContent(RefreshBody, { refresh_token: EXAMPLE_TOKENS.refresh_token }),
  answers: { 200: jsonAnswer('New tokens', TokenPair, EXAMPLE_TOKENS) },
  problems: ['unauthorized'],
};

export const LOGOUT: Operation = {
  id: 'logout',
  summary: 'End the session of the token',
  tag: 'auth',
  answers: { 204: { description: 'Ended' } },
};

export const ME: Operation = {
  id: 'getMe',
  summary: 'Who is asking',
  tag: 'auth',
  answers: { 200: jsonAnswer('The user of the token', Me, { username: 'ann', role: 'analyst' }) },
};
