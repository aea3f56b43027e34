/**
 * `millrace user add|list|passwd|disable|enable`: the users of the API, in the running program's store.
 */
import { type Command, Option } from 'commander';
import { checkGrant } from '../api/auth/grants.ts';
import { checkPassword } from '../api/auth/passwords.ts';
import { checkName, createUsers, type Users } from '../api/auth/users.ts';
import { ROLES, type Role } from '../api/route.ts';
import { isScoped } from '../api/scope.ts';
import type { Config } from '../config.ts';
import { asUsage } from './as-usage.ts';
import { auditCommand, commandActor, type Done } from './command-audit.ts';
import { addStoreOptions, loadStoreConfig, wantsJson, withStore } from './command-store.ts';
import { createCommandTelemetry } from './command-telemetry.ts';
import { writeResult } from './output.ts';
import { readSecret } from './read-secret.ts';
import { addScopeOptions, readScope, type ScopeOptions } from './scope-options.ts';

const PASSWORD_FLAG = '--password-file <path>';
const PASSWORD_HELP = 'file that holds the password; - is standard input (prompt)';

export function registerUser(program: Command): void {
  const user = program.command('user').description('add, list and change users of the API');
  registerAdd(user);
  registerList(user);
  registerPasswd(user);
  registerSwitch(user, 'disable');
  registerSwitch(user, 'enable');
}

interface AddOptions extends ScopeOptions {
  readonly role: Role;
  readonly passwordFile?: string;
}

function registerAdd(user: Command): void {
  const command = addStoreOptions(
    addScopeOptions(
      user
        .command('add')
        .description('add a user')
        .argument('<name>', 'letters, digits and . _ @ -')
        .addOption(new Option('--role <role>', 'what the user may do').choices([...ROLES]).default('viewer')),
    ).option(PASSWORD_FLAG, PASSWORD_HELP),
  );
  command.action(async (name: string, options: AddOptions) => {
    const { role } = options;
    const config = loadStoreConfig(command);
    const scope = readScope(options);
    asUsage(() => checkGrant({ role, scope }));
    const password = await readNewPassword(name, options.passwordFile, 'Password');
    const result = { name, role, ...(isScoped(scope) && { scope }) };
    const done = { action: 'user.create', target: name, detail: { role, scope } } as const;
    await withUsers(config, (users) => users.add({ name, password, role, scope }, commandActor()), done);
    writeResult(wantsJson(command), result, () => `User ${name} was added with role ${role}.`);
  });
}

function registerList(user: Command): void {
  const command = addStoreOptions(user.command('list').description('list all users'));
  command.action(async () => {
    const users = await withUsers(loadStoreConfig(command), (found) => found.list());
    const rows = users.map(({ name, role, isDisabled, changedAt }) => ({
      name,
      role,
      disabled: isDisabled,
      changed_at: changedAt,
    }));
    writeResult(wantsJson(command), { data: rows }, () => {
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
  const command = addStoreOptions(
    user
      .command('passwd')
      .description('change the password of a user and end the sessions')
      .argument('<name>', 'the user')
      .option(PASSWORD_FLAG, PASSWORD_HELP),
  );
  command.action(async (name: string, options: { passwordFile?: string }) => {
    const config = loadStoreConfig(command);
    const password = await readNewPassword(name, options.passwordFile, 'New password');
    const done = { action: 'user.change', target: name, detail: { password: 'changed' } } as const;
    await withUsers(config, (users) => users.setPassword(name, password, commandActor()), done);
    writeResult(wantsJson(command), { name }, () => `The password of ${name} was changed.`);
  });
}

function registerSwitch(user: Command, verb: 'disable' | 'enable'): void {
  const isDisabled = verb === 'disable';
  const effect = isDisabled
    ? 'end the sessions of a user and refuse further logins'
    : 'let a user log in again';
  const command = addStoreOptions(user.command(verb).description(effect).argument('<name>', 'the user'));
  command.action(async (name: string) => {
    const change = (users: Users) => users.change(name, { isDisabled }, { changedBy: commandActor() });
    const done = { action: 'user.change', target: name, detail: { disabled: isDisabled } } as const;
    await withUsers(loadStoreConfig(command), change, done);
    const result = { name, disabled: isDisabled };
    writeResult(wantsJson(command), result, () => `User ${name} was ${verb}d.`);
  });
}

/** The password for `name`; a name or password that cannot be is wrong usage, told before a store is opened. */
async function readNewPassword(name: string, file: string | undefined, what: string): Promise<string> {
  asUsage(() => checkName(name));
  const secret = await readSecret({ file, prompt: `${what} of ${name}`, isNew: true });
  const password = secret.reveal();
  asUsage(() => checkPassword(password));
  return password;
}

/** `done` is written to the audit when it went through. */
async function withUsers<T>(config: Config, work: (users: Users) => Promise<T>, done?: Done): Promise<T> {
  const telemetry = createCommandTelemetry(config);
  return await withStore(config, telemetry, async ({ store }) => {
    const result = await work(createUsers(store));
    if (done !== undefined) await auditCommand(store, done);
    return result;
  });
}
