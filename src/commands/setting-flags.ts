/**
 * Flags of commands that take settings, made from the one table, and the config they give with
 * environment and file.
 */
import { type Command, Option } from 'commander';
import { flagName, SETTING_GROUPS, type Setting, type SettingGroup } from '../config/setting.ts';
import { SETTINGS } from '../config/settings.ts';
import { defaultText, placeholder } from '../config/show.ts';
import { type Config, loadConfig } from '../config.ts';
import { MillraceError } from '../errors.ts';
import { writeNote } from './output.ts';

interface FlagTarget {
  /** Name of the setting the flag sets; `<name>_FILE` for secrets. */
  readonly settingName: string;
  readonly option: Option;
}

const TARGETS = new WeakMap<Command, readonly FlagTarget[]>();

/**
 * Adds `--config` and one flag per setting of these groups. What has no effect yet, or none on this command
 * (`unused`, by name), is accepted but not shown.
 */
export function addSettingFlags(
  command: Command,
  groups: readonly SettingGroup[],
  unused: readonly string[] = [],
): Command {
  command.option('--config <path>', 'YAML file of settings (also MILLRACE_CONFIG)');
  const targets: FlagTarget[] = [];
  for (const group of groups) {
    for (const setting of SETTINGS as readonly Setting[]) {
      if (setting.group !== group) continue;
      const target = createFlag(setting);
      target.option.helpGroup(`${SETTING_GROUPS[group]} settings:`);
      if (setting.isPlanned || unused.includes(setting.name)) target.option.hideHelp();
      command.addOption(target.option);
      targets.push(target);
    }
  }
  TARGETS.set(command, targets);
  command.addHelpText(
    'after',
    '\nEvery setting is also read from MILLRACE_<NAME> and from the settings file.',
  );
  return command;
}

/** Lets `alias` stand for the flag of one setting. */
export function addSettingAlias(command: Command, settingName: string, alias: Option): Command {
  command.addOption(alias);
  TARGETS.set(command, [...(TARGETS.get(command) ?? []), { settingName, option: alias }]);
  return command;
}

function createFlag(setting: Setting): FlagTarget {
  const isSecret = setting.kind === 'secret' || setting.kind === 'secretUrl';
  const flag = isSecret ? `${flagName(setting)}-file` : flagName(setting);
  const value = placeholder(setting);
  const shown = isSecret ? `file that holds it: ${setting.help}` : setting.help;
  const option = new Option(`${flag} ${value}`, `${shown} (${defaultText(setting)})`);
  return { settingName: isSecret ? `${setting.name}_FILE` : setting.name, option };
}

/** What flags said, by setting name. */
export function readSettingFlags(command: Command): Record<string, unknown> {
  const flags: Record<string, unknown> = {};
  for (const { settingName, option } of TARGETS.get(command) ?? []) {
    const value: unknown = command.getOptionValue(option.attributeName());
    if (value === undefined) continue;
    if (flags[settingName] !== undefined) {
      throw new MillraceError('usage', `option '${option.long}' repeats what another option gives`);
    }
    flags[settingName] = value;
  }
  return flags;
}

/** The config of this call; warnings go to standard error. */
export function loadCommandConfig(command: Command): Config {
  const configFile: unknown = command.getOptionValue('config');
  const { config, warnings } = loadConfig({
    flags: readSettingFlags(command),
    env: process.env,
    ...(typeof configFile === 'string' ? { configFile } : {}),
  });
  for (const warning of warnings) writeNote(`millrace: warning: ${warning}`);
  return config;
}
