/**
 * `millrace user add|list|passwd`: the users of the API, in the running program's store.
 */
import { userInfo } from 'node:os';
import { type Command, Option } from 'commander';
import { checkPassword } from '../api/auth/passwords.ts';
import { checkName, createUsers, type Users } from '../api/auth/users.ts';
import { ROLES, type Role } from '../api/route.ts';
import type { Config } from '../config.ts';
import { errorMessage, MillraceError } from '../errors.ts';
import { loadStoreConfig, withStore } from './command-store.ts';
import { createCommandTelemetry } from './command-telemetry.ts';
import { writeResult } from './output.ts';
import { readSecret } from './read-secret.ts';
import { addSettingFlags } from './setting-flags.ts';

const PASSWORD_FLAG = '--password-file <path>';
const PASSWORD_HELP = 'file that holds the password; - is standard input (prompt)';

export function registerUser(program: Command): void {
  const user = program.command('user').description('add, list and change users of the API');
  registerAdd(user);
  registerList(user);
  registerPasswd(user);
}

function registerAdd(user: Command): void {
  const command = finish(
    user
      .command('add')
      .description('add a user')
      .argument('<name>', 'letters, digits and . _ @ -')
      .addOption(new Option('--role <role>', 'what the user may do').choices([...ROLES]).default('viewer'))
      .option(PASSWORD_FLAG, PASSWORD_HELP),
  );
  command.action(async (name: string, options: { role: Role; passwordFile?: string }) => {
    const config = loadStoreConfig(command);
    const password = await readNewPassword(name, options.passwordFile, 'Password');
    await withUsers(config, (users) => users.add({ name, password, role: options.role }, changedBy()));
    const result = { name, role: options.role };
    writeResult(isJson(command), result, () => `User ${name} was added with role ${options.role}.`);
  });
}

function registerList(user: Command): void {
  const command = finish(user.command('list').description('list all users'));
  command.action(async () => {
    const users = await withUsers(loadStoreConfig(command), (found) => found.list());
    const rows = users.map(({ name, role, isDisabled, changedAt }) => ({
      name,
      role,
      disabled: isDisabled,
      changed_at: changedAt,
    }));
    writeResult(isJson(command), { data: rows }, () => {
      const width = Math.max(4, ...rows.map((row) => row.name.length));
      const lines = rows.map(
        (row) =>
          `${row.name.padEnd(width)}  ${row.role.padEnd(7)}  ${row.changed_at}${row.disabled ? '  disabled' : ''}`,
      );
      return [`${'name'.padEnd(width)}  role     changed`, ...lines].join('\n');
    });
  });
}

function registerPasswd(user: Command): void {
  const command = finish(
    user
      .command('passwd')
      .description('change the password of a user and end the sessions')
      .argument('<name>', 'the user')
      .option(PASSWORD_FLAG, PASSWORD_HELP),
  );
  command.action(async (name: string, options: { passwordFile?: string }) => {
    const config = loadStoreConfig(command);
    const password = await readNewPassword(name, options.passwordFile, 'New password');
    await withUsers(config, (users) => users.setPassword(name, password, changedBy()));
    writeResult(isJson(command), { name }, () => `The password of ${name} was changed.`);
  });
}

function finish(command: Command): Command {
  return addSettingFlags(command.option('--json', 'print JSON'), ['general', 'clickhouse']);
}

function isJson(command: Command): boolean {
  return command.getOptionValue('json') === true;
}

/** Who the audit names: the account of this machine that ran the command. */
function changedBy(): string {
  return `command line: ${userInfo().username}`;
}

/** The password for `name`; a name or password that cannot be is wrong usage, told before a store is opened. */
async function readNewPassword(name: string, file: string | undefined, what: string): Promise<string> {
  asUsage(() => checkName(name));
  const secret = await readSecret({ file, prompt: `${what} of ${name}`, isNew: true });
  const password = secret.reveal();
  asUsage(() => checkPassword(password));
  return password;
}

function asUsage(check: () => void): void {
  try {
    check();
  } catch (error) {
    throw new MillraceError('usage', errorMessage(error), { cause: error });
  }
}

async function withUsers<T>(config: Config, work: (users: Users) => Promise<T>): Promise<T> {
  const telemetry = createCommandTelemetry(config);
  return await withStore(config, telemetry, ({ store }) => work(createUsers(store)));
}
