/**
 * Requests made by chance from the document: parameters that fit and that do not, bodies likewise, and values that
 * are known to be there.
 */
import fc from 'fast-check';
import { type Described, type OpenApi, operationsOf } from '../../src/api/openapi/reference-page.ts';
import type { JsonSchema } from '../../src/api/openapi/type-text.ts';
import { resolve } from '../support/api-contract.ts';

export interface RandomRequest {
  readonly operationId: string;
  readonly method: string;
  /** With the query. */
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
  readonly asker: 'admin' | 'viewer' | 'writer' | 'nobody';
}

interface Schema extends JsonSchema {
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
}

interface Parameter {
  readonly name: string;
  readonly in: string;
  readonly required?: boolean;
  readonly schema: Schema;
}

/** End what later requests need, or have a clock of their own. */
const LEFT_OUT: ReadonlySet<string> = new Set(['logout']);

const NASTY = [
  '',
  ' ',
  "'",
  "' OR 1=1 --",
  '"); DROP TABLE logs',
  '{x:String}',
  '%',
  '%00',
  '\u0000',
  '\r\nX-Injected: 1',
  '../..',
  '__proto__',
  'constructor',
  '\u{1f600}',
  '-1',
  '1e309',
  'NaN',
  'null',
  '9223372036854775808',
  'x'.repeat(1001),
] as const;

const TIMES = [
  'now',
  'now-1h',
  'now-15m',
  '2026-01-02T03:04:05Z',
  '2026-01-02T03:05:00.000001Z',
  'now+1w',
  'now-99999999w',
];
const FILTERS = [
  'level >= warn',
  'service in ("web", "db") and not host = "h-1"',
  'message contains "row"',
  'attr.k exists',
  'source_ip in "10.0.0.0/8"',
  'message matches /^row [0-9]+$/',
  'level >=',
  '((((',
  'host = "a" and',
];

/** Values that make sense for a parameter or a member of that name. */
function sensible(name: string, known: Readonly<Record<string, readonly string[]>>): readonly string[] {
  if (name === 'from' || name === 'to' || name === 'expires_at') return TIMES;
  if (name === 'filter') return FILTERS;
  if (name === 'interval') return ['1m', '60', '5m', '1h', '0s', '1y'];
  if (name === 'field') return ['service', 'level', 'http.status', 'attr.k', 'no_such_field'];
  if (name === 'min_level' || name === 'level') return ['info', 'WARN', 'unset', 'loud'];
  if (name === 'q') return ['row', '"row 1"', 'row "not closed', '-'];
  return known[name] ?? ['web', 'db', 'h-1', 'row', '10.0.0.1', 'nothing'];
}

export interface RandomRequestOptions {
  /** By name of a path parameter or a member: what is there. */
  readonly known: Readonly<Record<string, readonly string[]>>;
}

/** Every operation has the same chance, those that hash a password a smaller one. */
export function randomRequests(
  document: OpenApi,
  { known }: RandomRequestOptions,
): fc.Arbitrary<RandomRequest> {
  const operations = operationsOf(document).filter(({ operation }) => !LEFT_OUT.has(operation.operationId));
  return fc.oneof(
    ...operations.map((described) => {
      const isSlow =
        described.operation.requestBody !== undefined && !described.operation.tags.includes('ingest');
      return { weight: isSlow ? 1 : 3, arbitrary: requestOf(described, document, known) };
    }),
  );
}

function requestOf(
  described: Described,
  document: OpenApi,
  known: RandomRequestOptions['known'],
): fc.Arbitrary<RandomRequest> {
  const { method, path, base, operation } = described;
  const parameters = (operation.parameters ?? []) as readonly Parameter[];
  const valueOf = (name: string, schema: Schema) => parameterText(name, deref(schema, document), known);
  const segments = parameters.filter(({ in: place }) => place === 'path');
  const query = parameters.filter(({ in: place }) => place === 'query');
  const pairs = query.map(({ name, schema, required }) => {
    const key = schema.type === 'object' ? `${name}.k` : name;
    const pair = fc.tuple(fc.constant(key), valueOf(name, schema));
    const repeated = fc.array(pair, { minLength: 1, maxLength: 2 });
    const some = schema.type === 'array' || schema.type === 'object' ? repeated : pair.map((one) => [one]);
    return fc.oneof(
      { weight: required === true ? 1 : 6, arbitrary: fc.constant([]) },
      { weight: 3, arbitrary: some },
    );
  });
  const stray = fc.oneof(
    { weight: 30, arbitrary: fc.constant([]) },
    {
      weight: 1,
      arbitrary: fc
        .tuple(fc.constantFrom('hots', '__proto__', 'ticket', ''), fc.constantFrom(...NASTY))
        .map((pair) => [pair]),
    },
  );
  return fc
    .record({
      base: fc.constantFrom('', base),
      segments: fc.tuple(...segments.map(({ name, schema }) => valueOf(name, schema))),
      pairs: fc.tuple(...pairs, stray),
      headers: headersOf(parameters, operation.responses),
      content: contentOf(operation.requestBody?.content ?? {}, document, known),
      asker: fc.oneof(
        { weight: 8, arbitrary: fc.constant('admin' as const) },
        { weight: 2, arbitrary: fc.constantFrom('viewer' as const, 'writer' as const, 'nobody' as const) },
      ),
    })
    .map((chosen) => {
      const values = [...chosen.segments];
      const filled = path.replaceAll(/\{\w+\}/g, () => encode(values.shift() ?? ''));
      const search = chosen.pairs.flat().map(([name, value]) => `${encode(name)}=${encode(value)}`);
      const { type, body } = chosen.content;
      return {
        operationId: operation.operationId,
        method,
        target: `${chosen.base}${filled}${search.length === 0 ? '' : `?${search.join('&')}`}`,
        headers: { ...chosen.headers, ...(type === undefined ? {} : { 'Content-Type': type }) },
        body,
        asker: chosen.asker,
      };
    });
}

/** Dots alone would be taken out of the path. */
function encode(text: string): string {
  return encodeURIComponent(text).replaceAll('.', '%2E');
}

function deref(schema: Schema, document: OpenApi): Schema {
  return schema.$ref === undefined ? schema : (resolve(document, schema.$ref) as Schema);
}

/** Mostly what fits; text as it stands in a query or a path. */
function parameterText(
  name: string,
  schema: Schema,
  known: RandomRequestOptions['known'],
): fc.Arbitrary<string> {
  const one = schema.type === 'array' ? (schema.items ?? {}) : schema;
  return fc.oneof(
    { weight: 8, arbitrary: fittingText(name, one as Schema, known) },
    { weight: 1, arbitrary: fc.constantFrom(...NASTY) },
    { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 12 }) },
  );
}

function fittingText(
  name: string,
  schema: Schema,
  known: RandomRequestOptions['known'],
): fc.Arbitrary<string> {
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum.map(String));
  if (schema.type === 'integer') {
    return fc.integer({ min: schema.minimum ?? 0, max: Math.min(schema.maximum ?? 100, 1000) }).map(String);
  }
  if (schema.type === 'boolean') return fc.constantFrom('true', 'false');
  return fc.constantFrom(...sensible(name, known));
}

function headersOf(
  parameters: readonly Parameter[],
  responses: Readonly<Record<string, { readonly content?: Readonly<Record<string, unknown>> }>>,
): fc.Arbitrary<Readonly<Record<string, string>>> {
  const types = [
    ...Object.keys(responses['200']?.content ?? {}),
    '*/*',
    'application/json;q=0.5, text/csv',
    'image/png',
    ';;',
  ];
  const values: Record<string, fc.Arbitrary<string | undefined>> = {
    Accept: fc.option(fc.constantFrom(...types), { nil: undefined }),
    'X-Request-Id': fc.option(fc.constantFrom('mine', 'a b', 'x'.repeat(200)), { nil: undefined, freq: 9 }),
  };
  for (const { name, in: place } of parameters) {
    if (place !== 'header') continue;
    values[name] = fc.option(fc.constantFrom('*', '"1"', 'W/"x"', 'key-1', '', 'x'.repeat(300)), {
      nil: undefined,
    });
  }
  return fc.record(values).map((given) => {
    const entries = Object.entries(given).filter(
      (entry): entry is [string, string] => entry[1] !== undefined,
    );
    return Object.fromEntries(entries);
  });
}

interface RandomContent {
  readonly type: string | undefined;
  readonly body: string | undefined;
}

function contentOf(
  content: Readonly<Record<string, { readonly schema: JsonSchema }>>,
  document: OpenApi,
  known: RandomRequestOptions['known'],
): fc.Arbitrary<RandomContent> {
  const entries = Object.entries(content);
  if (entries.length === 0) return fc.constant({ type: undefined, body: undefined });
  const fitting = entries.map(([type, { schema }]) => {
    const value = valueOf('', schema, { document, known });
    const body = type === 'application/json' ? value.map((one) => JSON.stringify(one)) : value.map(String);
    return fc.record({ type: fc.constant(type), body });
  });
  const types = [...entries.map(([type]) => type), 'text/html', 'application/json; charset=utf-8', undefined];
  const wrong = fc.record({
    type: fc.constantFrom(...types),
    body: fc.oneof(
      fc.constantFrom('', '{', '[]', 'null', '{"__proto__":{}}', '{"username":7}', '"\\ud800"'),
      fc.json({ maxDepth: 2 }),
    ),
  });
  return fc.oneof({ weight: 4, arbitrary: fc.oneof(...fitting) }, { weight: 1, arbitrary: wrong });
}

interface Around {
  readonly document: OpenApi;
  readonly known: RandomRequestOptions['known'];
}

/** A value of the schema, but that its texts may be too long or mean nothing. */
function valueOf(name: string, given: Schema, around: Around): fc.Arbitrary<unknown> {
  const schema = deref(given, around.document);
  if (schema.anyOf !== undefined) return fc.oneof(...schema.anyOf.map((part) => valueOf(name, part, around)));
  if (schema.type === 'object') return objectOf(schema, around);
  if (schema.type === 'array') {
    const { items = {}, minItems = 0 } = schema;
    return fc.array(valueOf(name, items, around), { minLength: minItems, maxLength: minItems + 1 });
  }
  return schema.type === 'null' ? fc.constant(null) : scalarOf(name, schema, around);
}

function objectOf({ properties = {}, required = [] }: Schema, around: Around): fc.Arbitrary<unknown> {
  const members = Object.entries(properties).map(([key, member]) => {
    return [key, valueOf(key, member, around)] as const;
  });
  return fc.record(Object.fromEntries(members), { requiredKeys: [...required] });
}

function scalarOf(name: string, schema: Schema, { known }: Around): fc.Arbitrary<unknown> {
  const text = parameterText(name, schema, known);
  if (schema.type === 'integer') return text.map(Number).filter((value) => !Number.isNaN(value));
  if (schema.type === 'boolean') return fc.boolean();
  return text;
}
