/**
 * Gathers what flags, environment and YAML file say, by setting name, with where it came from.
 * Unknown names become problems here; values are judged later.
 */
import { parseDocument } from 'yaml';
import { quoteValue } from '../errors.ts';
import { nearestName } from './did-you-mean.ts';
import { FILE_SECTIONS, SETTING_BY_NAME, SETTINGS } from './settings.ts';

/** A value as given; `origin` names the place in the user's words. */
export interface Given {
  readonly raw: unknown;
  readonly origin: string;
}

export interface Gathered {
  readonly given: ReadonlyMap<string, Given>;
  readonly problems: readonly string[];
}

const PREFIX = 'MILLRACE_';
/** Variables that are no settings: the path of the YAML file, and what test and bench runs read. */
const FREE_VARIABLE = /^MILLRACE_(CONFIG$|TEST_|BENCH_)/;
const FILE_SUFFIX = '_FILE';

/** Whether `name` is `<secret>_FILE`, which names a file that holds the secret. */
export function secretOfFileName(name: string): string | undefined {
  if (!name.endsWith(FILE_SUFFIX) || SETTING_BY_NAME.has(name)) return undefined;
  const base = name.slice(0, -FILE_SUFFIX.length);
  const kind = SETTING_BY_NAME.get(base)?.kind;
  return kind === 'secret' || kind === 'secretUrl' ? base : undefined;
}

function isKnown(name: string): boolean {
  return SETTING_BY_NAME.has(name) || secretOfFileName(name) !== undefined;
}

function suggestion(name: string, show: (known: string) => string): string {
  const known = nearestName(name, [...SETTING_BY_NAME.keys(), ...FILE_SECTIONS.keys()]);
  return known === undefined ? '' : `; did you mean ${show(known)}?`;
}

/** Settings from `MILLRACE_*`, and HTTP_PORT from PORT where it is not set. Empty variables count as unset. */
export function gatherEnvironment(env: Readonly<Record<string, string | undefined>>): Gathered {
  const given = new Map<string, Given>();
  const problems: string[] = [];
  const port = env['PORT'];
  if (port !== undefined && port !== '') given.set('HTTP_PORT', { raw: port, origin: 'PORT' });
  for (const [variable, raw] of Object.entries(env)) {
    if (!variable.startsWith(PREFIX) || raw === undefined || FREE_VARIABLE.test(variable)) continue;
    const name = variable.slice(PREFIX.length);
    if (!isKnown(name)) {
      problems.push(`${variable}: no such setting${suggestion(name, (known) => `${PREFIX}${known}`)}`);
    } else if (raw !== '') given.set(name, { raw, origin: variable });
  }
  return { given, problems };
}

/** Settings from a YAML (or JSON) text. Keys in any case; maps nest (`kafka: {brokers: …}` is KAFKA_BROKERS). */
export function gatherYaml(text: string, fileName: string): Gathered {
  const given = new Map<string, Given>();
  const document = parseDocument(text, { prettyErrors: true });
  if (document.errors.length > 0) {
    return { given, problems: document.errors.map((error) => `${fileName}: ${firstLine(error.message)}`) };
  }
  const root: unknown = document.toJS({ maxAliasCount: 100 });
  if (root === null || root === undefined) return { given, problems: [] };
  if (!isMap(root)) return { given, problems: [`${fileName}: must be a map of settings`] };
  const problems: string[] = [];
  gatherMap(root, { fileName, prefix: '', path: '', given, problems });
  return { given, problems };
}

interface YamlWalk {
  readonly fileName: string;
  /** Name and path so far, with their separator. */
  readonly prefix: string;
  readonly path: string;
  readonly given: Map<string, Given>;
  readonly problems: string[];
}

function gatherMap(map: Readonly<Record<string, unknown>>, walk: YamlWalk): void {
  for (const [key, raw] of Object.entries(map)) {
    const name = walk.prefix + settingName(key);
    const path = walk.path + key;
    const origin = `${walk.fileName}: ${path}`;
    if (isKnown(name)) {
      if (walk.given.has(name)) walk.problems.push(`${origin}: given twice`);
      else if (raw !== null) walk.given.set(name, { raw, origin });
    } else if (FILE_SECTIONS.has(name)) {
      walk.given.set(name, { raw, origin });
    } else if (isMap(raw) && isPrefix(`${name}_`)) {
      gatherMap(raw, { ...walk, prefix: `${name}_`, path: `${path}.` });
    } else {
      const hint = suggestion(name, (known) => known.toLowerCase());
      walk.problems.push(`${origin}: no such setting${hint}`);
    }
  }
}

/** `httpPort`, `http-port`, `http_port` → `HTTP_PORT`. */
function settingName(key: string): string {
  return key
    .replaceAll(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replaceAll('-', '_')
    .toUpperCase();
}

function isPrefix(prefix: string): boolean {
  return SETTINGS.some((setting) => setting.name.startsWith(prefix));
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function firstLine(message: string): string {
  return message.split('\n', 1)[0]?.replace(/:$/, '') ?? quoteValue(message);
}

/** Settings from flags, by setting name (`HTTP_PORT`); the flags themselves were checked by the command line. */
export function gatherFlags(flags: Readonly<Record<string, unknown>>): Gathered {
  const given = new Map<string, Given>();
  for (const [name, raw] of Object.entries(flags)) {
    if (raw === undefined) continue;
    given.set(name, { raw, origin: `--${name.toLowerCase().replaceAll('_', '-')}` });
  }
  return { given, problems: [] };
}
