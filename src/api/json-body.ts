/**
 * Reads a small JSON body and checks it against its schema.
 */
import type { Static, TSchema } from 'typebox';
import { Check } from 'typebox/value';
import { MillraceError } from '../errors.ts';
import { bodyFaults } from './body-faults.ts';
import type { HttpRequest } from './http/port.ts';
import { badRequest } from './problem.ts';

const MAX_BYTES = 65_536;

/** Throws 415, 413, 400 (no JSON) or 422 (JSON that does not fit, naming the fields). */
export async function readJson<S extends TSchema>(request: HttpRequest, schema: S): Promise<Static<S>> {
  const type = request.headers.get('content-type')?.split(';')[0]?.trim().toLowerCase();
  if (type !== undefined && type !== 'application/json') {
    throw new MillraceError('unsupported_media_type', 'The body must be application/json.');
  }
  const bytes = await request.readBody(MAX_BYTES);
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw badRequest('The body is not valid JSON.');
  }
  if (Check(schema, value)) return value;
  const faults = bodyFaults(schema, value);
  throw new MillraceError('unprocessable', faults[0]?.detail ?? 'The body does not fit.', { faults });
}
