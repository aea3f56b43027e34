/**
 * Settings of tables that depend on the configuration or on the server's version, and so cannot stand in the SQL
 * files. Only what differs is altered; what this server does not know is left out.
 */
import type { Store } from './clickhouse-client.ts';

/** Every table that an acknowledged insert of the pipeline writes to, directly or through a view. */
const DURABLE_TABLES = [
  'logs',
  'dead_letters',
  'ledger',
  'lane_claims',
  'events_1m',
  'events_1h',
  'host_metrics_1m',
  'host_metrics_1h',
  'sources',
  'users',
  'api_keys',
  'audit',
] as const;

const FSYNC_SETTINGS = ['fsync_after_insert', 'fsync_part_directory'] as const;

/** Sets fsync on or off for all tables: `isFsync` is CLICKHOUSE_FSYNC. */
export async function applyTableSettings(
  store: Store,
  options: { readonly isFsync: boolean },
): Promise<void> {
  const rows = await store.query<{ name: string; is_fsync: number }>(
    `SELECT name, match(engine_full, 'fsync_after_insert = (1|true)') AS is_fsync
     FROM system.tables WHERE database = currentDatabase() AND name IN {names:Array(String)}`,
    { names: DURABLE_TABLES },
  );
  const value = options.isFsync ? 1 : 0;
  for (const { name, is_fsync: current } of rows) {
    if (current === value) continue;
    const assignments = FSYNC_SETTINGS.map((setting) => `${setting} = ${value}`).join(', ');
    await store.command(`ALTER TABLE ${name} MODIFY SETTING ${assignments}`);
  }
}
