/**
 * `millrace keys rotate`: another key signs tokens from now on.
 */
import type { Command } from 'commander';
import { loadApiKeys, replaceSigningKey } from '../api/auth/key-files.ts';
import { revokeKey } from '../api/auth/public-keys.ts';
import { MillraceError } from '../errors.ts';
import { auditCommand, warnOfAudit } from './command-audit.ts';
import { hasStore, loadStoreConfig, withStore } from './command-store.ts';
import { createCommandTelemetry } from './command-telemetry.ts';
import { apiKeysDir } from './local-token.ts';
import { writeResult } from './output.ts';
import { addSettingFlags } from './setting-flags.ts';

export function registerKeys(program: Command): void {
  const keys = program.command('keys').description('the keys that sign access tokens');
  const command = addSettingFlags(
    keys
      .command('rotate')
      .description('make a new signing key; the running program signs with it from the next login on')
      .option('--revoke', 'refuse all tokens of the old key within a minute, as after a theft')
      .option('--json', 'print JSON'),
    ['general', 'clickhouse'],
  );
  command.action(async (options: { revoke?: boolean; json?: boolean }) => {
    const config = loadStoreConfig(command);
    const directory = apiKeysDir(config.dataDir);
    const before = loadApiKeys(directory).signing;
    // First the file: a program that still had the old key would publish it again.
    const { id } = replaceSigningKey(directory, Date.now());
    const isRevoked = options.revoke === true;
    const record = (): Promise<void> =>
      withStore(config, createCommandTelemetry(config), async ({ store }) => {
        if (isRevoked) await revokeKey(store, before, Date.now());
        const detail = { previous: before.id, revoked: isRevoked };
        await auditCommand(store, { action: 'signing_key.rotate', target: id, detail });
      });
    // Without ClickHouse a key can be replaced, but not revoked.
    if (isRevoked) await record();
    else if (hasStore(config)) await record().catch(warnOfAudit);
    else warnOfAudit(new MillraceError('store_unavailable', 'There is no database here (CLICKHOUSE_URL).'));
    const fate = isRevoked
      ? 'is refused within a minute'
      : 'is accepted until the last of its tokens expires';
    const result = { id, previous: before.id, revoked: isRevoked };
    writeResult(options.json === true, result, () => `Key ${id} signs tokens now; ${before.id} ${fate}.`);
  });
}
