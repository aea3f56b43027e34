/**
 * What is wrong with a JSON body, field by field, in words for who wrote it.
 */
import type { TSchema } from 'typebox';
import { Errors } from 'typebox/value';
import { nearestName } from '../config/did-you-mean.ts';
import { type InputFault, quoteValue } from '../errors.ts';

const MAX_FAULTS = 20;

/** An error of TypeBox, as far as it is read here. */
interface SchemaError {
  readonly keyword: string;
  readonly schemaPath: string;
  /** JSON pointer into the body. */
  readonly instancePath: string;
  readonly params: Readonly<Record<string, unknown>>;
  readonly message: string;
}

/** At most 20. Names fields and choices; never a value that was sent, which may be a password. */
export function bodyFaults(schema: TSchema, value: unknown): InputFault[] {
  const errors: readonly SchemaError[] = Errors(schema, value);
  // What the alternatives of a choice have to say is said by the choice.
  const choices = errors
    .filter(({ keyword }) => keyword === 'anyOf')
    .map(({ schemaPath }) => `${schemaPath}/`);
  const own = errors.filter(
    ({ keyword, schemaPath }) =>
      keyword !== 'boolean' && !choices.some((path) => schemaPath.startsWith(`${path}anyOf`)),
  );
  return own.flatMap((error) => faultsOf(error, schema, errors)).slice(0, MAX_FAULTS);
}

function faultsOf(error: SchemaError, schema: TSchema, all: readonly SchemaError[]): InputFault[] {
  const { keyword, instancePath, params, message } = error;
  switch (keyword) {
    case 'required':
      return namesIn(params['requiredProperties']).map((name) =>
        fault(`${instancePath}/${escapePointer(name)}`, 'is required'),
      );
    case 'additionalProperties': {
      const known = Object.keys(schemaAt(schema, error.schemaPath).properties ?? {});
      return namesIn(params['additionalProperties']).map((name) => unknownField(instancePath, name, known));
    }
    case 'enum':
      return [fault(instancePath, `must be one of ${namesIn(params['allowedValues']).join(', ')}`)];
    case 'anyOf': {
      const parts = all.filter(({ schemaPath }) => schemaPath.startsWith(`${error.schemaPath}/anyOf/`));
      return [fault(instancePath, [...new Set(parts.map((part) => part.message))].join(' or '))];
    }
    default:
      return [fault(instancePath, message)];
  }
}

function fault(path: string, text: string): InputFault {
  return { detail: `${path === '' ? 'The body' : path} ${text}.`, pointer: `#${path}` };
}

function unknownField(path: string, name: string, known: readonly string[]): InputFault {
  const suggestion = nearestName(name, known);
  const hint = suggestion === undefined ? '' : ` Did you mean ${suggestion}?`;
  const detail = `There is no field ${quoteValue(name)}${path === '' ? '' : ` in ${path}`}.${hint}`;
  const pointer = `#${path}/${escapePointer(name)}`;
  return { detail, pointer, ...(suggestion === undefined ? {} : { suggestion }) };
}

function namesIn(value: unknown): string[] {
  return Array.isArray(value) ? value.map(String) : [];
}

/** The schema that an error is of; its path is a fragment such as `#/properties/deep`. */
function schemaAt(schema: TSchema, path: string): { readonly properties?: object } {
  let at: unknown = schema;
  for (const name of path.split('/').slice(1)) {
    const key = name.replaceAll('~1', '/').replaceAll('~0', '~');
    at = typeof at === 'object' && at !== null ? (at as Readonly<Record<string, unknown>>)[key] : undefined;
  }
  return typeof at === 'object' && at !== null ? at : {};
}

function escapePointer(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1');
}
