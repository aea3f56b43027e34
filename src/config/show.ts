/**
 * Settings as people read them: values in their own unit, the lines of help, the table of the README.
 */
import { Secret } from '../secret.ts';
import { readEnum } from './read-value.ts';
import { flagName, SETTING_GROUPS, type Setting, type SettingGroup, variableName } from './setting.ts';
import { type Config, SETTINGS } from './settings.ts';

const MIB = 1_048_576;

/** The value as it could be written in the settings file; secrets and passwords stay hidden. */
function printableValue(setting: Setting, value: unknown): unknown {
  if (value === undefined) return null;
  if (setting.kind === 'mebibytes' && typeof value === 'number') return value / MIB;
  if (value instanceof Secret) return value.toString();
  return value;
}

/** All settings by lower-case name, for `config print`. */
export function printableConfig(config: Config): Record<string, unknown> {
  return Object.fromEntries(
    SETTINGS.map((setting) => [setting.name.toLowerCase(), printableValue(setting, config[setting.key])]),
  );
}

/** The default as text for help and documents. */
export function defaultText(setting: Setting): string {
  if (setting.defaultText !== undefined) return setting.defaultText;
  const value = setting.defaultValue;
  if (value === undefined) return 'unset';
  if (setting.kind === 'boolean') return value === true ? '1' : '0';
  if (Array.isArray(value)) return value.length === 0 ? 'none' : value.join(',');
  if (setting.kind === 'mebibytes' && typeof value === 'number') return String(value / MIB);
  if (setting.kind === 'bytes' && typeof value === 'number' && value % MIB === 0) return `${value / MIB} MiB`;
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** What may be given, for the placeholder of a flag. */
export function placeholder(setting: Setting): string {
  const values = readEnum(setting.schema);
  if (values.length > 0) return `<${values.join('|')}>`;
  const names = {
    text: 'text',
    integer: 'number',
    bytes: 'bytes',
    mebibytes: 'MiB',
    duration: 'ms',
    boolean: '1|0',
    list: 'a,b,…',
    file: 'path',
    endpoint: 'url',
    secret: 'path',
    secretUrl: 'path',
  } as const satisfies Record<Setting['kind'], string>;
  const name = names[setting.kind];
  if (setting.kind === 'boolean') return '[1|0]';
  return `<${name}>`;
}

function settingsOfGroup(group: SettingGroup): readonly Setting[] {
  return SETTINGS.filter((setting) => setting.group === group && !setting.isPlanned);
}

/** The configuration table of the README, Markdown; settings that nothing acts on yet are left out. */
export function settingsMarkdown(): string {
  const lines = ['| setting | flag | default | meaning |', '|---|---|---|---|'];
  for (const group of Object.keys(SETTING_GROUPS) as SettingGroup[]) {
    for (const setting of settingsOfGroup(group)) {
      const isSecret = setting.kind === 'secret' || setting.kind === 'secretUrl';
      const flag = isSecret ? `${flagName(setting)}-file` : flagName(setting);
      lines.push(
        `| \`${variableName(setting)}\` | \`${flag}\` | ${escapeCell(defaultText(setting))} | ${escapeCell(setting.help)} |`,
      );
    }
  }
  return `${lines.join('\n')}\n`;
}

function escapeCell(cell: string): string {
  return cell.replaceAll('|', '\\|');
}
