/**
 * The rules of OpenAPI 3.1 that a generator of clients stumbles over, as a closed schema and as checks across it.
 */
import { Type } from 'typebox';
import { Errors } from 'typebox/value';
import { type OpenApi, operationsOf } from '../../src/api/openapi/reference-page.ts';
import type { ApiContract } from './api-contract.ts';
import { resolve } from './api-contract.ts';

const closed = { additionalProperties: false };
const Text = Type.String({ minLength: 1 });
const Schema = Type.Union([Type.Object({}), Type.Boolean()]);
const Ref = Type.Object(
  { $ref: Type.String({ pattern: '^#/components/' }), description: Type.Optional(Text) },
  closed,
);
const Servers = Type.Array(Type.Object({ url: Text }, closed), { minItems: 1 });
const Content = Type.Record(
  Type.String({ pattern: '^[a-z]+/[a-z0-9.+-]+$' }),
  Type.Object({ schema: Schema, example: Type.Unknown() }, closed),
);
const Header = Type.Object({ description: Text, schema: Schema }, closed);
const Response = Type.Object(
  {
    description: Text,
    headers: Type.Record(Text, Type.Union([Ref, Header])),
    content: Type.Optional(Content),
  },
  closed,
);
const ParameterObject = Type.Object(
  {
    name: Text,
    in: Type.Enum(['path', 'query', 'header']),
    required: Type.Optional(Type.Boolean()),
    description: Type.Optional(Text),
    schema: Schema,
    style: Type.Optional(Type.Literal('form')),
    explode: Type.Optional(Type.Boolean()),
  },
  closed,
);
const OperationObject = Type.Object(
  {
    operationId: Type.String({ pattern: '^[a-z][A-Za-z0-9]*$' }),
    summary: Type.String({ pattern: '[^.]$' }),
    description: Type.Optional(Text),
    tags: Type.Array(Text, { minItems: 1 }),
    parameters: Type.Optional(Type.Array(ParameterObject)),
    requestBody: Type.Optional(Type.Object({ required: Type.Boolean(), content: Content }, closed)),
    responses: Type.Record(Type.String({ pattern: '^[1-5][0-9]{2}$' }), Type.Union([Ref, Response])),
    security: Type.Array(Type.Record(Text, Type.Array(Text))),
    'x-permission': Text,
    'x-roles': Type.Array(Text),
    'x-scoped': Type.Boolean(),
  },
  closed,
);
const Method = Type.Optional(OperationObject);
const Document = Type.Object(
  {
    openapi: Type.Literal('3.1.0'),
    info: Type.Object({
      title: Text,
      version: Text,
      description: Text,
      license: Type.Object({ name: Text, identifier: Text }, closed),
    }),
    servers: Servers,
    tags: Type.Array(Type.Object({ name: Text, description: Text }, closed)),
    paths: Type.Record(
      Type.String({ pattern: '^/' }),
      Type.Object(
        {
          servers: Type.Optional(Servers),
          get: Method,
          post: Method,
          put: Method,
          patch: Method,
          delete: Method,
        },
        closed,
      ),
    ),
    components: Type.Object(
      {
        responses: Type.Record(Type.String({ pattern: '^[\\w.-]+$' }), Response),
        headers: Type.Record(Text, Header),
        securitySchemes: Type.Record(Text, Type.Object({ type: Type.Enum(['http', 'apiKey']) })),
        schemas: Type.Record(Type.String({ pattern: '^[A-Z][A-Za-z0-9]*$' }), Schema),
      },
      closed,
    ),
  },
  closed,
);

interface Media {
  readonly schema: object;
  readonly example: unknown;
}

/** Everything that is wrong with the document, in words. */
export function documentFaults(document: OpenApi, contract: ApiContract): string[] {
  const shape = Errors(Document, document).map(({ instancePath, message }) => `${instancePath} ${message}`);
  return [
    ...shape,
    ...referenceFaults(document),
    ...operationFaults(document),
    ...exampleFaults(document, contract),
  ];
}

/** References lead somewhere, and every schema is referred to. */
function referenceFaults(document: OpenApi): string[] {
  const refs = new Set(
    [...nodesOf(document)].map(([, node]) => node['$ref']).filter((ref) => typeof ref === 'string'),
  );
  const dangling = [...refs].filter((ref) => resolve(document, ref) === undefined);
  const unused = Object.keys(document.components.schemas).filter(
    (name) => !refs.has(`#/components/schemas/${name}`),
  );
  return [
    ...dangling.map((ref) => `${ref} leads nowhere`),
    ...unused.map((name) => `nothing refers to schema ${name}`),
  ];
}

function operationFaults(document: OpenApi): string[] {
  const operations = operationsOf(document);
  const faults: string[] = [];
  const ids = new Set<string>();
  for (const { path, method, operation } of operations) {
    const { operationId: id, parameters = [], responses, tags, security } = operation;
    if (ids.has(id)) faults.push(`${id} is twice an operationId`);
    ids.add(id);
    const names = parameters.map((parameter) => `${parameter.in} ${parameter.name}`);
    if (new Set(names).size < names.length) faults.push(`${id} has a parameter twice`);
    const inPath = parameters.filter((parameter) => parameter.in === 'path');
    const declared = inPath.map(({ name, required }) => `{${name}}${required === true ? '' : ' optional'}`);
    const used = path.match(/\{\w+\}/g) ?? [];
    if (declared.join(' ') !== used.join(' '))
      faults.push(`${method} ${path} declares ${declared.join(' ')}`);
    if (!Object.keys(responses).some((status) => status.startsWith('2'))) faults.push(`${id} never succeeds`);
    if (!tags.every((tag) => document.tags.some(({ name }) => name === tag))) faults.push(`${id} has a tag`);
    const isOpen = operation['x-permission'] === 'public';
    if (isOpen !== (security.length === 0)) faults.push(`${id} is public or not`);
    for (const parameter of parameters) {
      if (parameter.in !== 'path' && parameter.description === undefined) {
        faults.push(`${id} does not describe ${parameter.name}`);
      }
    }
  }
  return faults;
}

/** Every example fits the schema beside it. */
function exampleFaults(document: OpenApi, contract: ApiContract): string[] {
  return [...nodesOf(document)].flatMap(([path, node]) => {
    if (!('example' in node) || !('schema' in node)) return [];
    const { schema, example } = node as unknown as Media;
    return contract.errorsOf(schema, example).map((error) => `${path}: the example's ${error}`);
  });
}

function* nodesOf(value: unknown, path = '#'): Generator<[string, Readonly<Record<string, unknown>>]> {
  if (typeof value !== 'object' || value === null) return;
  if (!Array.isArray(value)) yield [path, value as Readonly<Record<string, unknown>>];
  for (const [key, child] of Object.entries(value)) yield* nodesOf(child, `${path}/${key}`);
}
