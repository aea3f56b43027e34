/**
 * Settings of tables that depend on the configuration or on the server's version, and so cannot stand in the SQL
 * files. Only what differs is altered; what this server does not know is left out.
 */
import type { Store } from './clickhouse-client.ts';

interface TableSetting {
  readonly name: string;
  readonly value: number;
  /** Tables it applies to; absent: all of the pipeline and of access. */
  readonly tables?: readonly string[];
}

function wantedSettings(isFsync: boolean | undefined): TableSetting[] {
  const fsync = [
    // Every table, views' targets included: an insert is acknowledged when all of them have it on disk.
    { name: 'fsync_after_insert', value: Number(isFsync) },
    { name: 'fsync_part_directory', value: Number(isFsync) },
  ];
  return [
    ...(isFsync === undefined ? [] : fsync),
    // One file per part for all skip indexes together instead of two for each (26.x).
    { name: 'packed_skip_index_max_bytes', value: 1_048_576, tables: ['logs'] },
  ];
}

interface TableRow {
  readonly name: string;
  readonly engine_full: string;
}

/** Value as the table's definition gives it; undefined when it does not. */
function currentValue(definition: string, setting: string): number | undefined {
  const [, text] = new RegExp(`\\b${setting} = (\\w+)`).exec(definition) ?? [];
  if (text === undefined) return undefined;
  return text === 'true' ? 1 : Number(text);
}

/** Brings all MergeTree tables of the database to the wanted settings: `isFsync` is CLICKHOUSE_FSYNC; absent, it stays. */
export async function applyTableSettings(
  store: Store,
  options: { readonly isFsync?: boolean | undefined },
): Promise<void> {
  const tables = await store.query<TableRow>(
    `SELECT name, engine_full FROM system.tables
     WHERE database = currentDatabase() AND engine LIKE '%MergeTree' AND NOT startsWith(name, '.')`,
  );
  const defaults = new Map(
    (
      await store.query<{ name: string; value: string }>(
        `SELECT name, value FROM system.merge_tree_settings WHERE name IN {names:Array(String)}`,
        { names: wantedSettings(options.isFsync).map(({ name }) => name) },
      )
    ).map(({ name, value }) => [name, Number(value)]),
  );
  for (const table of tables) {
    const changes = wantedSettings(options.isFsync).filter((setting) => {
      const byDefault = defaults.get(setting.name);
      if (byDefault === undefined || setting.tables?.includes(table.name) === false) return false;
      return (currentValue(table.engine_full, setting.name) ?? byDefault) !== setting.value;
    });
    if (changes.length === 0) continue;
    const assignments = changes.map(({ name, value }) => `${name} = ${value}`).join(', ');
    await store.command(`ALTER TABLE ${table.name} MODIFY SETTING ${assignments}`);
  }
}
