/**
 * The one table of settings. Help, `config print`, validation and the README's table all derive from it.
 */
import type { Setting } from './setting.ts';
import { COLLECT_SETTINGS, DETECT_SETTINGS, PIPELINE_SETTINGS } from './settings-pipeline.ts';
import { CLICKHOUSE_SETTINGS, GENERAL_SETTINGS, HTTP_SETTINGS, KAFKA_SETTINGS } from './settings-service.ts';

export const SETTINGS = [
  ...GENERAL_SETTINGS,
  ...HTTP_SETTINGS,
  ...KAFKA_SETTINGS,
  ...CLICKHOUSE_SETTINGS,
  ...PIPELINE_SETTINGS,
  ...COLLECT_SETTINGS,
  ...DETECT_SETTINGS,
] as const;

type Entry = (typeof SETTINGS)[number];

/** All settings, frozen: sizes in bytes, durations in milliseconds, secrets as `Secret`. */
export type Config = {
  readonly [E in Entry as E['key']]: E extends Setting<string, infer T> ? T : never;
};

export const SETTING_BY_NAME: ReadonlyMap<string, Setting> = new Map(
  SETTINGS.map((setting): [string, Setting] => [setting.name, setting]),
);

/** Sections of the YAML file that stand for a file of their own, and the setting each stands for. */
export const FILE_SECTIONS: ReadonlyMap<string, string> = new Map([
  ['ROUTES', 'ROUTES_FILE'],
  ['RETENTION', 'RETENTION_FILE'],
  ['FILTERS', 'FILTERS_FILE'],
  ['SERVICES', 'SERVICES_FILE'],
]);
