/**
 * Writes the typed client of a running Millrace from its own document:
 *   npx tsx deploy/examples/typescript/generate-client.ts http://127.0.0.1:8080 > millrace-client.ts
 */
import { pathToFileURL } from 'node:url';
import {
  type Described,
  type OpenApi,
  operationsOf,
  type Parameter,
} from '../../../src/api/openapi/reference-page.ts';
import { commentText, type JsonSchema, typeText } from '../../../src/api/openapi/type-text.ts';

const HEAD = `/**
 * Typed client of the Millrace API, made from /openapi.json by generate-client.ts: not to be edited.
 * Needs \`fetch\`: Node 18 or later, Deno, Bun or a browser.
 */

/** An answer that is no success. */
export class ProblemError extends Error {
  readonly status: number;
  /** Undefined when something before Millrace answered. */
  readonly problem: Problem | undefined;

  constructor(status: number, problem: Problem | undefined) {
    super(problem?.detail ?? \`HTTP status \${status}\`);
    this.name = 'ProblemError';
    this.status = status;
    this.problem = problem;
  }
}

export interface ClientOptions {
  /** Such as \`https://logs.example.com\`. */
  readonly url: string;
  /** Access token or API key; asked before every call, so that it may be renewed. */
  readonly token?: () => string | undefined;
  readonly signal?: AbortSignal;
}

type Values = Readonly<Record<string, unknown>>;

interface Call {
  readonly path?: Values;
  readonly query?: Values;
  readonly headers?: Values;
  readonly body?: unknown;
}
`;

const CLASS_HEAD = `
export class MillraceClient {
  readonly #options: ClientOptions;

  constructor(options: ClientOptions) {
    this.#options = options;
  }
`;

const CLASS_END = `
  async #call(method: string, template: string, call: Call): Promise<unknown> {
    return await valueOf(await this.#send(method, template, call));
  }

  async #stream(method: string, template: string, call: Call): Promise<ReadableStream<Uint8Array>> {
    const { body } = await this.#send(method, template, call);
    if (body === null) throw new TypeError('The answer has no body');
    return body;
  }

  async #send(method: string, template: string, call: Call): Promise<Response> {
    const { url, token, signal } = this.#options;
    const path = template.replace(/\\{(\\w+)\\}/g, (_all, name: string) =>
      encodeURIComponent(String(call.path?.[name])),
    );
    const query = new URLSearchParams(pairsOf(call.query)).toString();
    const bearer = token?.();
    const response = await fetch(url.replace(/\\/$/, '') + path + (query === '' ? '' : \`?\${query}\`), {
      method,
      headers: {
        Accept: 'application/json, */*;q=0.1',
        ...(bearer === undefined ? {} : { Authorization: \`Bearer \${bearer}\` }),
        ...(call.body === undefined ? {} : { 'Content-Type': 'application/json' }),
        ...Object.fromEntries(pairsOf(call.headers)),
      },
      ...(call.body === undefined ? {} : { body: JSON.stringify(call.body) }),
      ...(signal === undefined ? {} : { signal }),
    });
    if (response.ok) return response;
    const value = await valueOf(response);
    throw new ProblemError(response.status, typeof value === 'object' ? (value as Problem) : undefined);
  }
}

async function valueOf(response: Response): Promise<unknown> {
  const type = response.headers.get('content-type') ?? '';
  const text = await response.text();
  return /[/+]json\\b/.test(type) && text !== '' ? JSON.parse(text) : text;
}

/** Names and values as they go into a query: a list is its name repeated. */
function pairsOf(values: Values = {}): [string, string][] {
  return Object.entries(values).flatMap(([name, value]) => {
    if (value === undefined) return [];
    return (Array.isArray(value) ? value : [value]).map((one): [string, string] => [name, String(one)]);
  });
}
`;

const STREAM = 'text/event-stream';

/** The text of the client, for the document of one version of the API. */
export function clientText(document: OpenApi): string {
  const schemas = Object.entries(document.components.schemas).map(
    ([name, schema]) =>
      `\n${commentText(schema.description, '')}export type ${name} = ${typeText(schema)};\n`,
  );
  const methods = operationsOf(document).map(methodText);
  return [HEAD, ...schemas, CLASS_HEAD, ...methods, CLASS_END].join('');
}

function methodText({ method, path, base, operation }: Described): string {
  const { operationId, summary } = operation;
  const members = requestMembers(operation);
  const isOptional = members.every(({ isRequired }) => !isRequired);
  const request = members.map(({ text }) => text).join('');
  const parameter = members.length === 0 ? '' : `request: {\n${request}  }${isOptional ? ' = {}' : ''}`;
  const isStream = Object.values(operation.responses).some(({ content }) => content?.[STREAM] !== undefined);
  const result = isStream ? 'ReadableStream<Uint8Array>' : resultText(operation);
  const target = `'${method}', '${base}${path}', ${members.length === 0 ? '{}' : 'request'}`;
  const call = `this.${isStream ? '#stream' : '#call'}(${target})`;
  return `
  /** ${summary}.${isStream ? ' Server-sent events without an end: read them as they come, then cancel.' : ''} */
  async ${operationId}(${parameter}): Promise<${result}> {
    ${bodyText(call, result, isStream)};
  }
`;
}

function bodyText(call: string, result: string, isStream: boolean): string {
  if (isStream) return `return await ${call}`;
  return result === 'void' ? `await ${call}` : `return (await ${call}) as ${result}`;
}

interface Member {
  readonly text: string;
  readonly isRequired: boolean;
}

function requestMembers({ parameters = [], requestBody }: Described['operation']): Member[] {
  const places = [
    ['path', 'path'],
    ['query', 'query'],
    ['headers', 'header'],
  ] as const;
  const members = places.flatMap(([name, place]) => {
    const own = parameters.filter((parameter) => parameter.in === place);
    return own.length === 0 ? [] : [parametersMember(name, own)];
  });
  const body = requestBody?.content['application/json']?.schema;
  if (body === undefined) return members;
  return [...members, { isRequired: true, text: `    readonly body: ${typeText(body, '    ')};\n` }];
}

function parametersMember(name: string, parameters: readonly Parameter[]): Member {
  const isRequired = parameters.some(({ required }) => required === true);
  const fields = parameters.map((parameter) => {
    const comment = commentText(parameter.description, '      ');
    return `${comment}      readonly ${fieldText(parameter)};\n`;
  });
  return { isRequired, text: `    readonly ${name}${isRequired ? '' : '?'}: {\n${fields.join('')}    };\n` };
}

function fieldText({ name, required, schema }: Parameter): string {
  const { patternProperties } = schema;
  if (patternProperties !== undefined) {
    const [value = {}] = Object.values<JsonSchema>(patternProperties);
    return `[name: \`${name}.\${string}\`]: ${typeText(value, '      ')}`;
  }
  const key = /^\w+$/.test(name) ? name : `'${name}'`;
  return `${key}${required === true ? '' : '?'}: ${typeText(schema, '      ')}`;
}

/** What a success is: JSON where there is any, else text. */
function resultText({ responses }: Described['operation']): string {
  const types = Object.entries(responses)
    .filter(([status, { content }]) => status.startsWith('2') && content !== undefined)
    .map(([, { content }]) => {
      const schema = content?.['application/json']?.schema;
      return schema === undefined ? 'string' : typeText(schema, '  ');
    });
  return [...new Set(types)].join(' | ') || 'void';
}

const [, script = '', address] = process.argv;
if (address !== undefined && import.meta.url === pathToFileURL(script).href) {
  const response = await fetch(new URL('/openapi.json', address));
  process.stdout.write(clientText((await response.json()) as OpenApi));
}
