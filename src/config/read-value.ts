/**
 * Turns what a source gave (text, or a YAML value) into the value of a setting, or says what is wrong with it.
 * Reading is lenient about form ("32 MiB", "250ms", "yes"), the schema is strict about the result.
 */
import type { TSchema } from 'typebox';
import { Value } from 'typebox/value';
import { quoteValue } from '../errors.ts';
import { REDACTED } from '../secret.ts';
import type { Setting } from './setting.ts';

export type ReadResult = { readonly value: unknown } | { readonly problem: string };

const BYTE_UNITS: Readonly<Record<string, number>> = {
  b: 1,
  kb: 1000,
  mb: 1_000_000,
  gb: 1_000_000_000,
  kib: 1024,
  mib: 1_048_576,
  gib: 1_073_741_824,
  k: 1024,
  m: 1_048_576,
  g: 1_073_741_824,
};

const DURATION_UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

const BOOLEANS: Readonly<Record<string, boolean>> = {
  '1': true,
  true: true,
  yes: true,
  on: true,
  '0': false,
  false: false,
  no: false,
  off: false,
};

export function readValue(setting: Setting, raw: unknown): ReadResult {
  const read = convert(setting, raw);
  if ('problem' in read) return read;
  const [error] = Value.Errors(setting.schema, read.value);
  if (error === undefined) return read;
  const isSecret = setting.kind === 'secret' || setting.kind === 'secretUrl';
  const shown = isSecret ? '' : `, not ${quoteValue(raw)}`;
  return { problem: `${describeSchemaError(setting, error)}${shown}` };
}

function convert(setting: Setting, raw: unknown): ReadResult {
  switch (setting.kind) {
    case 'integer':
      return readNumber(raw, {}, 1);
    case 'bytes':
      return readNumber(raw, BYTE_UNITS, 1);
    case 'mebibytes':
      return readNumber(raw, BYTE_UNITS, 1_048_576);
    case 'duration':
      return readNumber(raw, DURATION_UNITS, 1);
    case 'boolean':
      return readBoolean(raw);
    case 'list':
      return readList(setting, raw);
    case 'text':
    case 'file':
    case 'endpoint':
    case 'secret':
    case 'secretUrl':
    default:
      return readText(setting, raw);
  }
}

/** A number with an optional unit; one without counts in `bareUnit`. */
function readNumber(raw: unknown, units: Readonly<Record<string, number>>, bareUnit: number): ReadResult {
  if (typeof raw === 'number') return { value: raw * bareUnit };
  const match = typeof raw === 'string' ? /^(-?\d[\d_]*(?:\.\d+)?)\s*([A-Za-z]*)$/.exec(raw.trim()) : null;
  const unitText = match?.[2]?.toLowerCase() ?? '';
  const unit = unitText === '' ? bareUnit : units[unitText];
  if (match?.[1] === undefined || unit === undefined) {
    const names = Object.keys(units).slice(0, 7).join(', ');
    const withUnit = names === '' ? '' : `, with a unit or without (${names})`;
    return { problem: `must be a number${withUnit}, not ${quoteValue(raw)}` };
  }
  return { value: Number(match[1].replaceAll('_', '')) * unit };
}

function readBoolean(raw: unknown): ReadResult {
  if (typeof raw === 'boolean') return { value: raw };
  const value = BOOLEANS[String(raw).trim().toLowerCase()];
  return value === undefined ? { problem: `must be 1 or 0, not ${quoteValue(raw)}` } : { value };
}

function readList(setting: Setting, raw: unknown): ReadResult {
  const parts = Array.isArray(raw) ? raw.map(String) : String(raw).split(',');
  const items = parts.map((part) => part.trim()).filter((part) => part !== '');
  return { value: Object.freeze(setting.name === 'KAFKA_BROKERS' ? items.map(withKafkaPort) : items) };
}

function withKafkaPort(broker: string): string {
  return /:\d+$/.test(broker) || broker.includes('/') ? broker : `${broker}:9092`;
}

function readText(setting: Setting, raw: unknown): ReadResult {
  // What `config print` shows in the place of a secret is no secret.
  if (raw === REDACTED) return { problem: `holds ${REDACTED}, not the value itself` };
  if (typeof raw === 'string' || typeof raw === 'number') return { value: String(raw) };
  const shown = setting.kind === 'secret' || setting.kind === 'secretUrl' ? '' : `, not ${quoteValue(raw)}`;
  return { problem: `must be text${shown}` };
}

type SchemaError = ReturnType<typeof Value.Errors>[number];

/** One schema error in the words of the setting's own unit. */
function describeSchemaError(setting: Setting, error: SchemaError): string {
  const limit = readLimit(error.params);
  const sentences: Readonly<Partial<Record<string, string>>> = {
    minimum: `must be at least ${formatLimit(setting, limit)}`,
    maximum: `must be at most ${formatLimit(setting, limit)}`,
    enum: `must be one of ${readEnum(setting.schema).join(', ')}`,
    minLength: limit > 1 ? `must have at least ${limit} characters` : 'must not be empty',
    pattern: `must be ${expectedText(setting.schema)}`,
    type: 'must be a whole number',
  };
  return sentences[error.keyword] ?? error.message;
}

function readLimit(params: object): number {
  return 'limit' in params && typeof params.limit === 'number' ? params.limit : 0;
}

function formatLimit(setting: Setting, limit: number): string {
  if (setting.kind === 'mebibytes') return `${limit / 1_048_576} MiB`;
  if (setting.kind === 'bytes') return `${limit} bytes`;
  return setting.kind === 'duration' ? `${limit} ms` : String(limit);
}

export function readEnum(schema: TSchema): readonly string[] {
  return 'enum' in schema && Array.isArray(schema.enum) ? schema.enum.map(String) : [];
}

function expectedText(schema: TSchema): string {
  const inner = 'items' in schema && typeof schema.items === 'object' ? schema.items : schema;
  if (inner !== null && 'description' in inner && typeof inner.description === 'string') {
    return 'items' in schema ? `a list of ${inner.description}` : inner.description;
  }
  return 'of another form';
}
