/**
 * What a setting is: name, place in the config object, schema, unit, default and one line of help.
 * The constructors below keep the table short and give each entry its static type.
 */
import { type TSchema, Type } from 'typebox';
import type { Secret } from '../secret.ts';

/**
 * How text becomes a value. `bytes` and `mebibytes` both give bytes, they differ in what a bare number means;
 * `duration` gives milliseconds; `endpoint` is a URL whose credentials move into other settings.
 */
type SettingKind =
  | 'text'
  | 'integer'
  | 'bytes'
  | 'mebibytes'
  | 'duration'
  | 'boolean'
  | 'list'
  | 'file'
  | 'endpoint'
  | 'secret'
  | 'secretUrl';

export const SETTING_GROUPS = {
  general: 'General',
  http: 'HTTP',
  kafka: 'Kafka',
  clickhouse: 'ClickHouse',
  pipeline: 'Pipeline',
  collect: 'Collectors',
  detect: 'Detection and files',
} as const;
export type SettingGroup = keyof typeof SETTING_GROUPS;

export interface Setting<K extends string = string, T = unknown> {
  /** Name as in documents; the variable is `MILLRACE_<name>`, the flag its kebab-case, the YAML key its lower case. */
  readonly name: string;
  /** Property of the config object. */
  readonly key: K;
  readonly kind: SettingKind;
  readonly group: SettingGroup;
  /** Checks the value after it was read, in bytes or milliseconds where it has a unit. */
  readonly schema: TSchema;
  /** `undefined`: off unless set. */
  readonly defaultValue: T;
  /** Stands for the default where that depends on the machine or on other settings. */
  readonly defaultText?: string;
  readonly help: string;
  /** Accepted and checked, but nothing acts on it yet: left out of help, and said when it is set. */
  readonly isPlanned: boolean;
}

interface Common {
  readonly group: SettingGroup;
  readonly help: string;
  readonly defaultText?: string;
  readonly isPlanned?: boolean;
}
type Defaulted<T, O> = O extends { readonly default: unknown } ? T : T | undefined;
interface Identity<K extends string> {
  readonly name: string;
  readonly key: K;
  readonly kind: SettingKind;
  readonly schema: TSchema;
}

function make<K extends string>(
  identity: Identity<K>,
  options: Common,
  defaultValue: unknown,
): Setting<K, never> {
  return {
    ...identity,
    group: options.group,
    help: options.help,
    isPlanned: options.isPlanned ?? false,
    ...(options.defaultText === undefined ? {} : { defaultText: options.defaultText }),
    // Each constructor below knows the type that its default has.
    defaultValue: defaultValue as never,
  };
}

interface NumberOptions extends Common {
  readonly default?: number;
  readonly min: number;
  readonly max: number;
  readonly kind?: 'integer' | 'bytes' | 'mebibytes' | 'duration';
}

/** A whole number; limits and default in bytes or milliseconds when `kind` has a unit. */
export function number<const K extends string, const O extends NumberOptions>(
  name: string,
  key: K,
  options: O,
): Setting<K, Defaulted<number, O>> {
  const schema = Type.Integer({ minimum: options.min, maximum: options.max });
  return make({ name, key, kind: options.kind ?? 'integer', schema }, options, options.default);
}

export function port<const K extends string, const O extends Common & { readonly default?: number }>(
  name: string,
  key: K,
  options: O,
): Setting<K, Defaulted<number, O>> {
  const schema = Type.Integer({ minimum: 0, maximum: 65_535 });
  return make({ name, key, kind: 'integer', schema }, options, options.default);
}

interface TextOptions extends Common {
  readonly default?: string;
  /** Regular expression the whole text must match, and how to say so. */
  readonly pattern?: string;
  readonly expected?: string;
}

export function text<const K extends string, const O extends TextOptions>(
  name: string,
  key: K,
  options: O,
): Setting<K, Defaulted<string, O>> {
  return make({ name, key, kind: 'text', schema: textSchema(options) }, options, options.default);
}

function textSchema(options: TextOptions): TSchema {
  return Type.String({
    minLength: 1,
    ...(options.pattern === undefined ? {} : { pattern: options.pattern }),
    ...(options.expected === undefined ? {} : { description: options.expected }),
  });
}

interface ChoiceOptions extends Common {
  readonly values: readonly string[];
  readonly default?: string;
}

export function choice<const K extends string, const O extends ChoiceOptions>(
  name: string,
  key: K,
  options: O,
): Setting<K, Defaulted<O['values'][number], O>> {
  const schema = Type.Enum([...options.values]);
  return make({ name, key, kind: 'text', schema }, options, options.default);
}

export function flag<const K extends string>(name: string, key: K, options: Common): Setting<K, boolean> {
  return make({ name, key, kind: 'boolean', schema: Type.Boolean() }, options, false);
}

interface ListOptions extends Omit<TextOptions, 'default'> {
  readonly default?: readonly string[];
}

/** Texts separated by commas, or a YAML list. Without a default it is empty. */
export function list<const K extends string>(
  name: string,
  key: K,
  options: ListOptions,
): Setting<K, readonly string[]> {
  const { default: defaultValue, ...rest } = options;
  const schema = Type.Array(textSchema(rest));
  return make({ name, key, kind: 'list', schema }, options, Object.freeze([...(defaultValue ?? [])]));
}

/** Path of a file that must exist when it is set. */
export function file<const K extends string>(
  name: string,
  key: K,
  options: Common,
): Setting<K, string | undefined> {
  return make({ name, key, kind: 'file', schema: Type.String({ minLength: 1 }) }, options, undefined);
}

export function endpoint<const K extends string>(
  name: string,
  key: K,
  options: Common,
): Setting<K, string | undefined> {
  return make({ name, key, kind: 'endpoint', schema: Type.String({ minLength: 1 }) }, options, undefined);
}

/** A secret has no flag and no default; `<name>_FILE` names a file that holds it. */
export function secret<const K extends string>(
  name: string,
  key: K,
  options: Common & { readonly minLength?: number },
): Setting<K, Secret | undefined> {
  const schema = Type.String({ minLength: options.minLength ?? 1 });
  return make({ name, key, kind: 'secret', schema }, options, undefined);
}

export function secretUrl<const K extends string>(
  name: string,
  key: K,
  options: Common,
): Setting<K, Secret | undefined> {
  return make({ name, key, kind: 'secretUrl', schema: Type.String({ minLength: 1 }) }, options, undefined);
}

/** `HTTP_PORT` → `--http-port`. */
export function flagName(setting: Setting): string {
  return `--${setting.name.toLowerCase().replaceAll('_', '-')}`;
}

export function variableName(setting: Setting): string {
  return `MILLRACE_${setting.name}`;
}
