/**
 * Reads a query string by the schema that documents it. A name that is not known is refused: a filter with a typing
 * error in it would otherwise answer with everything.
 */
import type { Static, TObject, TSchema } from 'typebox';
import { Check } from 'typebox/value';
import { nearestName } from '../config/did-you-mean.ts';
import { type InputFault, MillraceError, quoteValue } from '../errors.ts';
import { badParameter, badRequest } from './problem.ts';

const MAX_VALUES = 100;
const MAX_VALUE_CHARACTERS = 1000;

/** The keywords of parameter schemas; TypeBox's own types know them only one by one. */
interface ParameterSchema {
  readonly type?: string;
  readonly enum?: readonly string[];
  readonly items?: ParameterSchema;
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

type Read = { readonly value: unknown } | { readonly fault: InputFault };

/** The values by name, defaults put in. Throws 400 that names every parameter that does not fit, and what it takes. */
export function readQuery<S extends TObject>(query: URLSearchParams, schema: S): Static<S> {
  const values: Record<string, unknown> = {};
  const faults: InputFault[] = [];
  const required: readonly string[] = schema.required ?? [];
  for (const [name, property] of Object.entries<ParameterSchema>(schema.properties)) {
    const read = readParameter(query, name, property);
    if ('fault' in read) faults.push(read.fault);
    else if (read.value !== undefined) values[name] = read.value;
    else if (required.includes(name)) faults.push({ detail: `${name} is required.`, parameter: name });
  }
  const [first] = faults;
  if (first !== undefined) throw new MillraceError('bad_request', first.detail, { faults });
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

function readParameter(query: URLSearchParams, name: string, schema: ParameterSchema): Read {
  const [text, ...more] = query.getAll(name);
  if (text === undefined) return { value: schema.default };
  if (schema.items === undefined) {
    if (more.length === 0) return readValue(name, text, schema);
    return { fault: { detail: `${name} can be given only once.`, parameter: name } };
  }
  const values: unknown[] = [];
  for (const item of [text, ...more]) {
    const read = readValue(name, item, schema.items);
    if ('fault' in read) return read;
    values.push(read.value);
  }
  return { value: values };
}

function readValue(name: string, text: string, schema: ParameterSchema): Read {
  const value = toValue(text, schema);
  if (Check(schema as TSchema, value)) return { value };
  const detail = `${name} must be ${expectationOf(schema)}; got ${quoteValue(text)}.`;
  const suggestion = nearestName(text, schema.enum ?? []);
  return { fault: { detail, parameter: name, ...(suggestion === undefined ? {} : { suggestion }) } };
}

/** What the text stands for; text that is not of the type stays as it is, and does not pass the check. */
function toValue(text: string, { type }: ParameterSchema): unknown {
  if (type === 'integer') return toInteger(text);
  if (type === 'boolean' && (text === 'true' || text === 'false')) return text === 'true';
  return text;
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
