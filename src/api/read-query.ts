/**
 * Reads a query string by the schema that documents it. A name that is not known is refused: a filter with a typing
 * error in it would otherwise answer with everything.
 */
import type { Static, TObject, TSchema } from 'typebox';
import { Check } from 'typebox/value';
import { nearestName } from '../config/did-you-mean.ts';
import { quoteValue } from '../errors.ts';
import { badParameter, badRequest } from './problem.ts';

const MAX_VALUES = 100;
const MAX_VALUE_CHARACTERS = 1000;

/** The keywords of parameter schemas; TypeBox's own types know them only one by one. */
interface ParameterSchema {
  readonly type?: string;
  readonly enum?: readonly string[];
  readonly items?: TSchema;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly maxLength?: number;
  readonly default?: unknown;
}

/** Throws 400 for a name that `schema` does not have, and for too many or too long values. */
export function checkQueryNames(query: URLSearchParams, schema: TObject | undefined): void {
  if (query.size > MAX_VALUES) throw badRequest(`A query has at most ${MAX_VALUES} parameters.`);
  const properties: Readonly<Record<string, TSchema>> = schema?.properties ?? {};
  for (const [name, value] of query) {
    if (!isKnown(name, schema)) throw unknownName(name, Object.keys(properties));
    const { maxLength = MAX_VALUE_CHARACTERS } = propertyOf(properties, name);
    if (value.length > maxLength) {
      throw badParameter(name, `The value of ${quoteValue(name)} is longer than ${maxLength} characters.`);
    }
  }
}

/** The values by name, defaults put in. Throws 400 that names the parameter, and says what it takes. */
export function readQuery<S extends TObject>(query: URLSearchParams, schema: S): Static<S> {
  const values: Record<string, unknown> = {};
  const required: readonly string[] = schema.required ?? [];
  for (const [name, property] of Object.entries<ParameterSchema>(schema.properties)) {
    const value = readParameter(query, name, property);
    if (value !== undefined) values[name] = value;
    else if (required.includes(name)) throw badParameter(name, `${name} is required.`);
  }
  return values as Static<S>;
}

function isKnown(name: string, schema: TObject | undefined): boolean {
  if (schema === undefined) return false;
  const { additionalProperties, patternProperties = {} } = schema as {
    readonly additionalProperties?: unknown;
    readonly patternProperties?: Readonly<Record<string, TSchema>>;
  };
  if (additionalProperties === true || Object.hasOwn(schema.properties, name)) return true;
  return Object.keys(patternProperties).some((pattern) => new RegExp(pattern).test(name));
}

function propertyOf(properties: Readonly<Record<string, TSchema>>, name: string): ParameterSchema {
  return Object.hasOwn(properties, name) ? (properties[name] ?? {}) : {};
}

function unknownName(name: string, known: readonly string[]) {
  const nearest = nearestName(name, known);
  const hint = nearest === undefined ? '' : ` Did you mean ${nearest}?`;
  return badParameter(name, `There is no parameter ${quoteValue(name)}.${hint}`, nearest);
}

function readParameter(query: URLSearchParams, name: string, schema: ParameterSchema): unknown {
  const texts = query.getAll(name);
  if (texts.length === 0) return schema.default;
  if (schema.items !== undefined) {
    const { items } = schema;
    return texts.map((text) => readValue(name, text, items as ParameterSchema));
  }
  if (texts.length > 1) throw badParameter(name, `${name} can be given only once.`);
  return readValue(name, texts[0] ?? '', schema);
}

function readValue(name: string, text: string, schema: ParameterSchema): unknown {
  const value = schema.type === 'integer' ? toInteger(text) : text;
  if (schema.type === 'boolean') {
    if (text === 'true' || text === 'false') return text === 'true';
  } else if (Check(schema as TSchema, value)) return value;
  const detail = `${name} must be ${expectationOf(schema)}; got ${quoteValue(text)}.`;
  throw badParameter(name, detail, nearestName(text, schema.enum ?? []));
}

function toInteger(text: string): number {
  return /^-?\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
}

function expectationOf({ type, enum: choices, minimum, maximum }: ParameterSchema): string {
  if (choices !== undefined) return `one of ${choices.join(', ')}`;
  if (type === 'boolean') return 'true or false';
  if (type !== 'integer') return 'of the documented form';
  if (minimum === undefined || maximum === undefined) return 'a whole number';
  return `a whole number from ${minimum} to ${maximum}`;
}
