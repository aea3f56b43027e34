/**
 * Settings of one start: flags over `MILLRACE_*` variables over a YAML file over defaults,
 * validated together, as one frozen object. All problems are reported at once.
 */
import { accessSync, constants, readFileSync } from 'node:fs';
import { findContradictions, isLoopbackHost } from './config/cross-checks.ts';
import type { Gathered, Given } from './config/read-sources.ts';
import { gatherEnvironment, gatherFlags, gatherYaml, secretOfFileName } from './config/read-sources.ts';
import { readValue } from './config/read-value.ts';
import type { Setting } from './config/setting.ts';
import { type Config, FILE_SECTIONS, SETTING_BY_NAME, SETTINGS } from './config/settings.ts';
import { errorMessage, MillraceError, quoteValue } from './errors.ts';
import { parseFailpoints } from './failpoints.ts';
import { REDACTED, redactUrl, Secret } from './secret.ts';

export type { Config } from './config/settings.ts';

export interface ConfigSources {
  /** By setting name (`HTTP_PORT`), as given on the command line. */
  readonly flags: Readonly<Record<string, unknown>>;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Path of the YAML file; `MILLRACE_CONFIG` of `env` stands in. */
  readonly configFile?: string;
}

export interface LoadedConfig {
  readonly config: Config;
  /** Where each setting that is not at its default came from, by name. */
  readonly origins: ReadonlyMap<string, string>;
  readonly warnings: readonly string[];
}

/** @throws MillraceError `config_invalid` whose message lists every problem, one per line. */
export function loadConfig(sources: ConfigSources): LoadedConfig {
  const gathered = [
    gatherFile(sources.configFile ?? sources.env['MILLRACE_CONFIG']),
    gatherEnvironment(sources.env),
    gatherFlags(sources.flags),
  ];
  const problems = gathered.flatMap((source) => [...source.problems]);
  const given = mergeGiven(gathered, problems);
  readSecretFiles(given, problems);
  const values = readAll(given, problems);
  const isComplete = problems.length === 0;
  moveCredentials(values, given, problems);
  const config = Object.freeze(values) as unknown as Config;
  // Contradictions are judged on readable values only; defaults stand in for unreadable ones.
  problems.push(...findContradictions(config), ...findFailpointProblems(config, sources.env));
  if (isComplete) checkFiles(config, given, problems);
  if (problems.length > 0) throw invalid(problems);
  const origins = new Map([...given].map(([name, entry]) => [name, entry.origin]));
  return { config, origins, warnings: findWarnings(config, given) };
}

function findFailpointProblems(config: Config, env: ConfigSources['env']): string[] {
  try {
    parseFailpoints(config.failpoints, { isProduction: env['NODE_ENV'] === 'production' });
    return [];
  } catch (error) {
    return [errorMessage(error)];
  }
}

function invalid(problems: readonly string[]): MillraceError {
  const count = problems.length === 1 ? 'a setting is' : `${problems.length} settings are`;
  const lines = problems.map((problem) => `  - ${problem}`);
  return new MillraceError('config_invalid', `cannot start, ${count} wrong:\n${lines.join('\n')}`);
}

function gatherFile(path: string | undefined): Gathered {
  if (path === undefined || path === '') return { given: new Map(), problems: [] };
  try {
    return gatherYaml(readFileSync(path, 'utf8'), path);
  } catch (error) {
    return { given: new Map(), problems: [`cannot read the settings file: ${errorMessage(error)}`] };
  }
}

/** Later sources win; a secret and the file that holds it are one setting. */
function mergeGiven(gathered: readonly Gathered[], problems: string[]): Map<string, Given> {
  const merged = new Map<string, Given>();
  for (const source of gathered) {
    for (const [name, entry] of source.given) {
      const secret = secretOfFileName(name);
      if (secret !== undefined && source.given.has(secret)) {
        problems.push(`${entry.origin}: ${secret} is given too; set only one of them`);
      }
      merged.delete(secret ?? `${name}_FILE`);
      merged.set(name, entry);
    }
  }
  return merged;
}

function readSecretFiles(given: Map<string, Given>, problems: string[]): void {
  for (const [name, entry] of given) {
    const secret = secretOfFileName(name);
    if (secret === undefined) continue;
    given.delete(name);
    try {
      const raw = readFileSync(String(entry.raw), 'utf8').replace(/\r?\n$/, '');
      given.set(secret, { raw, origin: entry.origin });
    } catch (error) {
      problems.push(`${entry.origin}: cannot read the file: ${errorMessage(error)}`);
    }
  }
}

/** Every setting's value by key; unreadable ones become problems and keep their default. */
function readAll(given: ReadonlyMap<string, Given>, problems: string[]): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  for (const setting of SETTINGS as readonly Setting[]) {
    values[setting.key] = setting.defaultValue;
    const entry = given.get(setting.name);
    if (entry === undefined) continue;
    const read = readValue(setting, entry.raw);
    if ('problem' in read) problems.push(`${entry.origin}: ${read.problem}`);
    else values[setting.key] = wrapSecret(setting, read.value);
  }
  return values;
}

function wrapSecret(setting: Setting, value: unknown): unknown {
  if (setting.kind === 'secret') return new Secret(String(value), REDACTED);
  return setting.kind === 'secretUrl' ? new Secret(String(value), redactUrl(String(value))) : value;
}

/** User and password inside CLICKHOUSE_URL become the settings they are; the URL is kept without them. */
function moveCredentials(
  values: Record<string, unknown>,
  given: ReadonlyMap<string, Given>,
  problems: string[],
): void {
  const text = values['clickhouseUrl'];
  if (typeof text !== 'string') return;
  const origin = given.get('CLICKHOUSE_URL')?.origin ?? 'CLICKHOUSE_URL';
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    problems.push(`${origin}: must be an http or https address, not ${quoteValue(redactUrl(text))}`);
    return;
  }
  if (url.password !== '' && origin.startsWith('--')) {
    problems.push(
      `${origin}: a password does not belong in arguments; use MILLRACE_CLICKHOUSE_PASSWORD or its _FILE`,
    );
  }
  for (const [part, name, key] of [
    [url.username, 'CLICKHOUSE_USER', 'clickhouseUser'],
    [url.password, 'CLICKHOUSE_PASSWORD', 'clickhousePassword'],
  ] as const) {
    if (part === '') continue;
    if (given.has(name)) problems.push(`${origin}: carries what ${name} also gives; set only one of them`);
    const decoded = decodeURIComponent(part);
    values[key] = key === 'clickhousePassword' ? new Secret(decoded) : decoded;
  }
  url.username = '';
  url.password = '';
  values['clickhouseUrl'] = url.href.replace(/\/$/, '');
}

function checkFiles(config: Config, given: ReadonlyMap<string, Given>, problems: string[]): void {
  for (const setting of SETTINGS) {
    if (setting.kind !== 'file' || setting.isPlanned) continue;
    const path = config[setting.key];
    if (typeof path !== 'string') continue;
    try {
      accessSync(path, constants.R_OK);
    } catch (error) {
      problems.push(`${given.get(setting.name)?.origin ?? setting.name}: ${errorMessage(error)}`);
    }
  }
}

/** Whether somebody set what nothing acts on yet to something else than its default. */
function isWithoutEffect(name: string, config: Config): boolean {
  if (FILE_SECTIONS.has(name)) return true;
  const setting = SETTING_BY_NAME.get(name);
  if (setting?.isPlanned !== true) return false;
  const value: unknown = config[setting.key as keyof Config];
  return JSON.stringify(value) !== JSON.stringify(setting.defaultValue);
}

function findWarnings(config: Config, given: ReadonlyMap<string, Given>): string[] {
  const warnings: string[] = [];
  for (const [name, entry] of given) {
    if (isWithoutEffect(name, config))
      warnings.push(`${entry.origin}: accepted, but has no effect in this version`);
  }
  if (config.httpAllowPlaintext && !isLoopbackHost(config.httpHost) && config.tlsCert === undefined) {
    warnings.push(
      `HTTP_HOST ${config.httpHost} is served without TLS: passwords and logs can be read on the way`,
    );
  }
  if (config.kafkaSaslMechanism === 'plain' && !config.kafkaSsl) {
    warnings.push('KAFKA_SASL_MECHANISM=plain without KAFKA_SSL=1 sends the password readable');
  }
  return warnings;
}
