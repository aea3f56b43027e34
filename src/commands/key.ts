/**
 * `millrace key add|list|revoke`: API keys for other programs, in the running program's store.
 */
import { type Command, Option } from 'commander';
import { type ApiKey, ApiKeyTable } from '../api/api-keys/api-keys.ts';
import { KEY_ROLES, MAX_KEY_NAME, toKeyJson } from '../api/api-keys/api-keys-operations.ts';
import { checkGrant } from '../api/auth/grants.ts';
import type { Role } from '../api/route.ts';
import { isScoped } from '../api/scope.ts';
import { formatTime, parseTime } from '../api/time-input.ts';
import type { Config } from '../config.ts';
import { MillraceError, quoteValue } from '../errors.ts';
import { asUsage } from './as-usage.ts';
import { auditCommand, commandActor, type Done } from './command-audit.ts';
import { addStoreOptions, loadStoreConfig, wantsJson, withStore } from './command-store.ts';
import { createCommandTelemetry } from './command-telemetry.ts';
import { writeResult } from './output.ts';
import { addScopeOptions, readScope, type ScopeOptions } from './scope-options.ts';

const PAGE_SIZE = 1000;
/** Also a whole key, which is what leaks. It is not repeated in any case. */
const ID = /^(?:mr_)?([0-9a-f]{12})(?:_[\w-]*)?$/;

export function registerKey(program: Command): void {
  const key = program.command('key').description('add, list and revoke API keys');
  registerAdd(key);
  registerList(key);
  registerRevoke(key);
}

interface AddOptions extends ScopeOptions {
  readonly role: Role;
  readonly expires?: string;
}

function registerAdd(key: Command): void {
  const command = addStoreOptions(
    addScopeOptions(
      key
        .command('add')
        .description('make a key; it is shown only now')
        .argument('<name>', 'what it is for')
        .addOption(new Option('--role <role>', 'what it may do').choices([...KEY_ROLES]).default('writer')),
    ).option('--expires <time>', 'when it ends: RFC 3339, or such as now+90d (never)'),
  );
  command.action(async (name: string, options: AddOptions) => {
    const { role } = options;
    const config = loadStoreConfig(command);
    const scope = readScope(options);
    asUsage(() => checkGrant({ role, scope }));
    const expiresMs = asUsage(() => readExpiry(options.expires));
    if (name === '' || name.length > MAX_KEY_NAME)
      throw new MillraceError('usage', `A name of a key has 1 to ${MAX_KEY_NAME} characters.`);
    const grant = { name, role, scope, expiresMs };
    const expires_at = expiresMs === undefined ? null : formatTime(expiresMs * 1000);
    const detail = { name, role, scope, expires_at };
    const { key: made, text } = await withKeys(config, async (keys, done) => {
      const added = await keys.add(grant, commandActor());
      await done({ action: 'key.create', target: added.key.id, detail });
      return added;
    });
    const result = { id: made.id, name, role, ...(isScoped(scope) && { scope }), expires_at, key: text };
    writeResult(
      wantsJson(command),
      result,
      () => `Key ${made.id} was made with role ${role}. It is shown only now:\n\n  ${text}\n`,
    );
  });
}

function registerList(key: Command): void {
  const command = addStoreOptions(
    key.command('list').description('list all keys, expired and revoked ones too'),
  );
  command.action(async () => {
    const rows = await withKeys(loadStoreConfig(command), readAll);
    writeResult(wantsJson(command), { data: rows }, () =>
      [
        'id            role     status   last used             expires               name',
        ...rows.map(({ id, role, status, last_used_at, expires_at, name }) =>
          [id, role.padEnd(7), status.padEnd(7), shortTime(last_used_at), shortTime(expires_at), name].join(
            '  ',
          ),
        ),
      ].join('\n'),
    );
  });
}

function registerRevoke(key: Command): void {
  const command = addStoreOptions(
    key
      .command('revoke')
      .description('refuse a key from now on, for good')
      .argument('<id>', 'its id, as `key list` shows it, or how the key begins: mr_<id>'),
  );
  command.action(async (text: string) => {
    const id = ID.exec(text)?.[1];
    if (id === undefined)
      throw new MillraceError('usage', 'An id of a key has 12 hexadecimal digits, behind mr_ or not.');
    await withKeys(loadStoreConfig(command), async (keys, done) => {
      await keys.change(id, { isRevoked: true }, { changedBy: commandActor() });
      await done({ action: 'key.revoke', target: id, detail: {} });
    });
    writeResult(wantsJson(command), { id, revoked: true }, () => `Key ${id} was revoked.`);
  });
}

function readExpiry(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const nowMs = Date.now();
  const expiresMs = Math.floor(parseTime('--expires', text, nowMs) / 1000);
  if (expiresMs > nowMs) return expiresMs;
  throw new MillraceError('usage', `--expires must be later than now; got ${quoteValue(text)}.`);
}

async function readAll(keys: ApiKeyTable) {
  const found: ApiKey[] = [];
  for (let page: ApiKey[]; ; found.push(...page)) {
    page = await keys.page({ after: found.at(-1)?.id, limit: PAGE_SIZE });
    if (page.length === 0) break;
  }
  const uses = await keys.lastUses(found.map(({ id }) => id));
  return found.map((key) => {
    const usedMs = uses.get(key.id);
    return {
      ...toKeyJson(key, Date.now()),
      last_used_at: usedMs === undefined ? null : formatTime(usedMs * 1000),
    };
  });
}

/** To the second; a dash for none. */
function shortTime(time: string | null): string {
  return (time === null ? '-' : `${time.slice(0, 19)}Z`).padEnd(20);
}

/** `done` writes to the audit what went through. */
async function withKeys<T>(
  config: Config,
  work: (keys: ApiKeyTable, done: (what: Done) => Promise<void>) => Promise<T>,
): Promise<T> {
  const telemetry = createCommandTelemetry(config);
  return await withStore(config, telemetry, ({ store }) =>
    work(new ApiKeyTable(store), (what) => auditCommand(store, what)),
  );
}
