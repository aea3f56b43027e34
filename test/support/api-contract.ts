/**
 * Holds answers of the API against its own document: the route is described, the status is listed, the body fits its
 * schema and has no member besides.
 */
import { Compile, type Validator } from 'typebox/compile';
import type { HttpRequest, HttpResponse } from '../../src/api/http/port.ts';
import type { OpenApi } from '../../src/api/openapi/reference-page.ts';
import type { JsonSchema } from '../../src/api/openapi/type-text.ts';
import { BASE } from '../../src/api/router.ts';

interface Response {
  readonly $ref?: string;
  readonly content?: Readonly<Record<string, { readonly schema: JsonSchema }>>;
}

interface DescribedPath {
  readonly pattern: RegExp;
  /** Only without `/api/v1`. */
  readonly isBare: boolean;
  readonly methods: Readonly<Record<string, { readonly responses: Readonly<Record<string, Response>> }>>;
}

const PROBLEM = {
  content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
};
const MAX_ERRORS = 3;

export class ApiContract {
  /** What did not keep to the document, in words. */
  readonly violations: string[] = [];
  readonly #document: OpenApi;
  readonly #paths: readonly DescribedPath[];
  readonly #validators = new Map<JsonSchema, Validator>();

  constructor(document: OpenApi) {
    this.#document = document;
    // A static segment goes before a parameter.
    const paths = Object.keys(document.paths).toSorted((a, b) => a.split('{').length - b.split('{').length);
    this.#paths = paths.map((path) => ({
      pattern: new RegExp(`^${path.replaceAll('.', '\\.').replaceAll(/\{\w+\}/g, '[^/]+')}$`),
      isBare: 'servers' in (document.paths[path] ?? {}),
      methods: document.paths[path] as DescribedPath['methods'],
    }));
  }

  /** `response` is what the front said to `request`. */
  check(request: HttpRequest, response: HttpResponse): void {
    if (request.method === 'OPTIONS' || request.signal.aborted) return;
    const expected = this.#expected(request, response.status);
    const problems =
      expected === undefined ? ['is not in the document'] : this.#differences(expected, response);
    for (const problem of problems) {
      this.violations.push(`${request.method} ${request.path}: ${response.status} ${problem}`);
    }
  }

  /** What is wrong with a value by a schema of the document; at most three things. */
  errorsOf(schema: JsonSchema, value: unknown): string[] {
    let validator = this.#validators.get(schema);
    if (validator === undefined) {
      validator = Compile(closed(schema, this.#document) as object);
      this.#validators.set(schema, validator);
    }
    if (validator.Check(value)) return [];
    const errors = validator.Errors(value).map(({ instancePath, message }) => `${instancePath} ${message}`);
    return errors.slice(0, MAX_ERRORS);
  }

  #expected({ method, path }: HttpRequest, status: number): Response | undefined {
    const isVersioned = path.startsWith(`${BASE}/`);
    const bare = isVersioned ? path.slice(BASE.length) : path;
    const found = this.#paths.find(({ pattern, isBare }) => pattern.test(bare) && !(isBare && isVersioned));
    const operation = found?.methods[method === 'HEAD' ? 'get' : method.toLowerCase()];
    if (operation === undefined)
      return status === 404 || status === 405 || status === 400 ? PROBLEM : undefined;
    const response = operation.responses[String(status)];
    if (response?.$ref === undefined) return response;
    return resolve(this.#document, response.$ref) as Response;
  }

  #differences({ content }: Response, { headers, body }: HttpResponse): string[] {
    const given = headers['Content-Type'] ?? '';
    if (content === undefined) return body === undefined ? [] : [`has a body of type "${given}"`];
    const media = content[given.split(';')[0] ?? ''];
    if (media === undefined) return [`is of type "${given}"`];
    // A stream is checked by who reads it.
    if (typeof body !== 'string') return [];
    const value: unknown = given.includes('json') && !given.includes('ndjson') ? JSON.parse(body) : body;
    return this.errorsOf(media.schema, value);
  }
}

/** What a reference within the document stands for. */
export function resolve(document: object, ref: string): unknown {
  const names = ref.replace(/^#\//, '').split('/');
  return names.reduce<unknown>((at, name) => (at as Readonly<Record<string, unknown>>)[name], document);
}

/** With references put in, and objects closed that do not say that they are open. */
function closed(schema: unknown, document: object): unknown {
  if (Array.isArray(schema)) return schema.map((item) => closed(item, document));
  if (typeof schema !== 'object' || schema === null) return schema;
  const { $ref } = schema as JsonSchema;
  if ($ref !== undefined) return closed(resolve(document, $ref), document);
  const entries = Object.entries(schema).map(([key, value]) => [key, closed(value, document)] as const);
  const isClosed = 'type' in schema && schema.type === 'object' && !('additionalProperties' in schema);
  return { ...Object.fromEntries(entries), ...(isClosed ? { additionalProperties: false } : {}) };
}
