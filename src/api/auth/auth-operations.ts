/**
 * What the routes of `/auth` take and answer.
 */
import { Type } from 'typebox';
import { jsonAnswer, jsonContent, type Operation } from '../openapi/operation.ts';
import { ROLES } from '../route.ts';
import { ScopeSchema } from './grants.ts';

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

const Me = Type.Object(
  { username: Type.String(), role: Type.Enum([...ROLES]), scope: Type.Optional(ScopeSchema) },
  { $id: 'Me' },
);

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
  description:
    'Each refresh token is exchanged once. A second time ends the whole session, unless the same address asks again ' +
    'within ten seconds because it has lost the answer.',
  tag: 'auth',
  body: jsonContent(RefreshBody, { refresh_token: EXAMPLE_TOKENS.refresh_token }),
  answers: { 200: jsonAnswer('New tokens', TokenPair, EXAMPLE_TOKENS) },
  problems: ['unauthorized'],
};

export const LOGOUT: Operation = {
  id: 'logout',
  summary: 'End the session of the token',
  description: 'Every program on this database refuses its tokens within seconds.',
  tag: 'auth',
  answers: { 204: { description: 'Ended' } },
  problems: ['forbidden'],
};

export const ME: Operation = {
  id: 'getMe',
  summary: 'Who is asking',
  tag: 'auth',
  answers: { 200: jsonAnswer('The user of the token', Me, { username: 'ann', role: 'analyst' }) },
};

export const PasswordBody = Type.Object(
  { current_password: Type.String(), new_password: Type.String({ description: '8 to 256 characters' }) },
  { $id: 'PasswordChange' },
);

export const CHANGE_PASSWORD: Operation = {
  id: 'changePassword',
  summary: 'Another password for the user of the token',
  description: 'Ends all sessions of the user; this one goes on with the tokens of the answer.',
  tag: 'auth',
  body: jsonContent(PasswordBody, {
    current_password: 'correct horse battery',
    new_password: 'staple for a donkey',
  }),
  answers: { 200: jsonAnswer('Changed', TokenPair, EXAMPLE_TOKENS) },
  problems: ['forbidden'],
};

const Ticket = Type.Object(
  {
    ticket: Type.String({ description: 'For `?ticket=` of one live tail' }),
    expires_in: Type.Integer({ description: 'Seconds until it cannot be used any more' }),
  },
  { $id: 'Ticket', additionalProperties: false },
);

export const CREATE_TICKET: Operation = {
  id: 'createTicket',
  summary: 'A ticket that opens one live tail',
  description:
    'For browsers, whose EventSource sends no headers. It is good for one use at any program on this database.',
  tag: 'auth',
  answers: {
    200: jsonAnswer('The ticket', Ticket, { ticket: EXAMPLE_TOKENS.access_token, expires_in: 30 }),
  },
  problems: ['forbidden'],
};

const Jwk = Type.Object(
  {
    kty: Type.Literal('OKP'),
    crv: Type.Literal('Ed25519'),
    x: Type.String(),
    kid: Type.String(),
    use: Type.Literal('sig'),
    alg: Type.Literal('EdDSA'),
  },
  { $id: 'Jwk', additionalProperties: false },
);
const JwkSet = Type.Object({ keys: Type.Array(Jwk) }, { $id: 'JwkSet', additionalProperties: false });

export const JWKS: Operation = {
  id: 'getKeySet',
  summary: 'Public keys that access tokens are signed with (RFC 7517)',
  tag: 'auth',
  answers: {
    200: jsonAnswer('Keys of all programs on this database', JwkSet, {
      keys: [
        {
          kty: 'OKP',
          crv: 'Ed25519',
          x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo',
          kid: 'kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k',
          use: 'sig',
          alg: 'EdDSA',
        },
      ],
    }),
  },
};
