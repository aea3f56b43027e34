/**
 * `millrace config check|print`: are the settings right, and what are they.
 */
import { type Command, Option } from 'commander';
import { stringify } from 'yaml';
import { SETTING_GROUPS, type SettingGroup } from '../config/setting.ts';
import { SETTINGS } from '../config/settings.ts';
import { printableConfig, settingsMarkdown } from '../config/show.ts';
import { loadConfig } from '../config.ts';
import { writeLine, writeNote, writeResult } from './output.ts';
import { addSettingFlags, readSettingFlags } from './setting-flags.ts';

const ALL_GROUPS = Object.keys(SETTING_GROUPS) as SettingGroup[];

function loadFrom(command: Command): ReturnType<typeof loadConfig> {
  const configFile: unknown = command.getOptionValue('config');
  return loadConfig({
    flags: readSettingFlags(command),
    env: process.env,
    ...(typeof configFile === 'string' ? { configFile } : {}),
  });
}

function checkConfig(command: Command): void {
  const { origins, warnings } = loadFrom(command);
  writeResult(
    command.getOptionValue('json') === true,
    { ok: true, set: Object.fromEntries(origins), warnings },
    () => {
      const notes = warnings.map((warning) => `warning: ${warning}\n`).join('');
      return `${notes}The settings are fine; ${origins.size} of ${SETTINGS.length} are not at their default.`;
    },
  );
}

function printConfig(command: Command): void {
  if (command.getOptionValue('markdown') === true) {
    process.stdout.write(settingsMarkdown());
    return;
  }
  const { config, origins, warnings } = loadFrom(command);
  const values = printableConfig(config);
  if (command.getOptionValue('json') === true) {
    writeLine(JSON.stringify({ settings: values, origins: Object.fromEntries(origins) }));
    return;
  }
  for (const warning of warnings) writeNote(`millrace: warning: ${warning}`);
  for (const setting of SETTINGS) {
    const name = setting.name.toLowerCase();
    const line = stringify({ [name]: values[name] }, { lineWidth: 0 }).trimEnd();
    const origin = origins.get(setting.name);
    writeLine(origin === undefined ? line : `# ${origin}\n${line}`);
  }
}

export function registerConfig(program: Command): void {
  const config = program.command('config').description('check or print the settings');
  const check = config
    .command('check')
    .description('read all settings and say what is wrong with them')
    .option('--json', 'print JSON')
    .action(() => checkConfig(check));
  addSettingFlags(check, ALL_GROUPS);
  const print = config
    .command('print')
    .description('print the settings in force as YAML; passwords stay hidden')
    .option('--json', 'print JSON')
    .addOption(new Option('--markdown', 'print the table of settings for documents').hideHelp())
    .action(() => printConfig(print));
  addSettingFlags(print, ALL_GROUPS);
}
