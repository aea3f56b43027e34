/**
 * The OpenAPI 3.1 document, made from the routes and from nothing else.
 */
import type { TObject, TSchema } from 'typebox';
import { ERROR_KINDS, type ErrorCode } from '../../errors.ts';
import { PERMISSIONS, ROLES, type Route } from '../route.ts';
import { BASE } from '../router.ts';
import { Components } from './components.ts';
import { type Content, type Operation, TAGS } from './operation.ts';
import { PROBLEM_JSON, Problem, problemExample, problemsOf } from './problems.ts';

type Json = Readonly<Record<string, unknown>>;

/** Of the interface, not of the program, which tells nobody its version before a login. */
const API_VERSION = '1.0.0';

const INFO = {
  title: 'Millrace',
  version: API_VERSION,
  description:
    'Logs in, questions out. Times are RFC 3339 or relative to now (`now-15m`); a query parameter that is not ' +
    'known is refused; lists come in pages with cursors. Every path is also served without `/api/v1`.',
  license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
} as const;

const SECURITY_SCHEMES = {
  bearer: { type: 'http', scheme: 'bearer', description: 'Access token of `/auth/login`, or an API key' },
  apiKey: { type: 'apiKey', in: 'header', name: 'X-API-Key', description: 'API key (`mr_…`)' },
  basic: { type: 'http', scheme: 'basic', description: 'API key as the password, with any user name' },
  ticket: { type: 'apiKey', in: 'query', name: 'ticket', description: 'Of `/auth/ticket`; for one use' },
} as const;

const LEAST_REFUSAL = 400;
const RETRY_STATUSES: ReadonlySet<number> = new Set([409, 429, 503]);

export function openApiDocument(routes: readonly Route[]): Json {
  const components = new Components();
  const paths: Record<string, Record<string, unknown>> = {};
  const codes = new Map<number, Set<ErrorCode>>();
  for (const route of routes) {
    const path = route.path.replaceAll(/:(\w+)/g, '{$1}');
    paths[path] ??= route.isBare === true ? { servers: [{ url: '/' }] } : {};
    const item = paths[path];
    item[route.method.toLowerCase()] = operationObject(route, components);
    for (const [status, some] of problemsOf(route)) {
      codes.set(status, new Set([...(codes.get(status) ?? []), ...some]));
    }
  }
  const tags = new Set(routes.map(({ operation }) => operation.tag));
  return {
    openapi: '3.1.0',
    info: INFO,
    servers: [{ url: BASE }],
    tags: Object.entries(TAGS)
      .filter(([name]) => tags.has(name as keyof typeof TAGS))
      .map(([name, description]) => ({ name, description })),
    paths,
    components: {
      responses: problemResponses(codes, components),
      headers: HEADERS,
      securitySchemes: SECURITY_SCHEMES,
      schemas: components.schemas,
    },
  };
}

function operationObject(route: Route, components: Components): Json {
  const { access, operation } = route;
  const { id, summary, description, tag, body } = operation;
  const parameters = [
    ...pathParameters(route, components),
    ...queryParameters(operation.query, components),
    ...headerParameters(operation.headers, components),
  ];
  return {
    operationId: id,
    summary,
    ...(description === undefined ? {} : { description }),
    tags: [tag],
    ...(route.deprecation === undefined ? {} : { deprecated: true }),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(body === undefined ? {} : { requestBody: { required: true, content: contentOf(body, components) } }),
    responses: responsesOf(route, components),
    security: access === 'public' ? [] : securityOf(route),
    'x-permission': access,
    'x-roles': rolesOf(route),
    'x-scoped': isOpenToScoped(route),
  };
}

function securityOf({ takesTicket }: Route): readonly Json[] {
  const ways = [{ bearer: [] }, { apiKey: [] }, { basic: [] }];
  return [...ways, ...(takesTicket === true ? [{ ticket: [] }] : [])];
}

/** Roles that pass the front; who needs no login counts as any role. */
function rolesOf({ access }: Route): readonly string[] {
  if (access === 'public' || access === 'signed_in') return ROLES;
  return ROLES.filter((role) => PERMISSIONS[role].has(access));
}

/** Whether those who have a scope pass the front too. */
function isOpenToScoped({ access, isScoped }: Route): boolean {
  return access === 'public' || access === 'signed_in' || isScoped === true;
}

function pathParameters({ path, operation }: Route, components: Components): Json[] {
  const names = [...path.matchAll(/:(\w+)/g)].map(([, name = '']) => name);
  return names.map((name) => {
    const schema = operation.params?.[name] ?? { type: 'string' };
    return { name, in: 'path', required: true, ...described(schema, components) };
  });
}

function queryParameters(query: TObject | undefined, components: Components): Json[] {
  if (query === undefined) return [];
  const required: readonly string[] = query.required ?? [];
  const named = Object.entries<TSchema>(query.properties).map(([name, schema]) => {
    const isRequired = required.includes(name) && !('default' in schema);
    return { name, in: 'query', ...(isRequired ? { required: true } : {}), ...described(schema, components) };
  });
  const { patternProperties: patterns = {} } = query as {
    readonly patternProperties?: Record<string, TSchema>;
  };
  // A family of names is the members of an object: exploded, they stand for themselves.
  const families = Object.entries(patterns).map(([pattern, schema]) => {
    const [name = pattern] = /\w+/.exec(pattern) ?? [];
    const { description } = schema as { readonly description?: string };
    const family = { type: 'object', patternProperties: { [pattern]: components.refer(schema) } };
    return { name, in: 'query', style: 'form', explode: true, description, schema: family };
  });
  return [...named, ...families];
}

function headerParameters(headers: Operation['headers'], components: Components): Json[] {
  return Object.entries(headers ?? {}).map(([name, schema]) => ({
    name,
    in: 'header',
    ...described(schema, components),
  }));
}

/** A parameter's description stands beside its schema. */
function described(schema: TSchema, components: Components): Json {
  const { description, ...rest } = schema as { readonly description?: string };
  return { ...(description === undefined ? {} : { description }), schema: components.refer(rest) };
}

function contentOf(content: Content, components: Components): Json {
  const entries = Object.entries(content).map(([type, { schema, example }]) => {
    return [type, { schema: components.refer(schema), example }] as const;
  });
  return Object.fromEntries(entries);
}

const REQUEST_ID_HEADER = referHeaders('X-Request-Id');
const LIMIT_HEADERS = referHeaders('RateLimit', 'RateLimit-Policy');
const HEADERS = {
  'X-Request-Id': {
    description: 'As sent with the request, or made here; the log of the program has it too',
    schema: { type: 'string' },
  },
  'Retry-After': { description: 'Seconds to wait before the next attempt', schema: { type: 'integer' } },
  RateLimit: {
    description:
      'Where a login is needed: what is left of each limit, and the seconds until it is whole again',
    schema: { type: 'string' },
  },
  'RateLimit-Policy': {
    description: 'Where a login is needed: the limits of the user or key, as quota and window in seconds',
    schema: { type: 'string' },
  },
} as const;

function referHeaders(...names: readonly string[]): Json {
  return Object.fromEntries(names.map((name) => [name, { $ref: `#/components/headers/${name}` }] as const));
}

function responsesOf(route: Route, components: Components): Json {
  const responses: Record<string, unknown> = {};
  for (const [status, codes] of problemsOf(route)) {
    responses[String(status)] = { $ref: `#/components/responses/Problem${status}`, ...codesOf(codes) };
  }
  for (const [status, { description, content, headers = {} }] of Object.entries(route.operation.answers)) {
    const own = Object.entries(headers).map(([name, text]) => {
      return [name, { description: text, schema: { type: 'string' } }] as const;
    });
    responses[status] = {
      description,
      headers: {
        ...REQUEST_ID_HEADER,
        ...(route.access === 'public' ? {} : LIMIT_HEADERS),
        ...Object.fromEntries(own),
      },
      ...(content === undefined
        ? {}
        : { content: contentOf(withProblem(content, Number(status)), components) }),
    };
  }
  return responses;
}

/** A refusal with a body of its own may also be one that every route has. */
function withProblem(content: Content, status: number): Content {
  if (status < LEAST_REFUSAL) return content;
  return { [PROBLEM_JSON]: { schema: Problem, example: problemExampleOf(status) }, ...content };
}

function problemExampleOf(status: number) {
  const codes = Object.keys(ERROR_KINDS) as ErrorCode[];
  return problemExample(codes.find((code) => ERROR_KINDS[code].status === status) ?? 'internal');
}

/** A description beside a reference takes the place of that of the response. */
function codesOf(codes: readonly ErrorCode[]): Json {
  return { description: codes.map((code) => `\`${code}\` ${ERROR_KINDS[code].title}`).join('; ') };
}

function problemResponses(codes: ReadonlyMap<number, ReadonlySet<ErrorCode>>, components: Components): Json {
  const entries = [...codes].toSorted(([a], [b]) => a - b);
  const responses = entries.map(([status, some]) => {
    const retry = RETRY_STATUSES.has(status)
      ? { 'Retry-After': { $ref: '#/components/headers/Retry-After' } }
      : {};
    const content = { [PROBLEM_JSON]: { schema: Problem, example: problemExampleOf(status) } };
    const response = {
      ...codesOf([...some]),
      headers: { ...REQUEST_ID_HEADER, ...LIMIT_HEADERS, ...retry },
      content: contentOf(content, components),
    };
    return [`Problem${status}`, response] as const;
  });
  return Object.fromEntries(responses);
}
