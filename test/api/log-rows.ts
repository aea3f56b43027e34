/** Rows for table `logs`, as JSONEachRow takes them. */
import type { Store } from '../../src/store/clickhouse-client.ts';

export type LogRowInput = Readonly<Record<string, unknown>> & { readonly timestamp: string };

/** Columns that are not given have the table's defaults; `offset` counts up. */
export async function insertLogs(store: Store, rows: readonly LogRowInput[]): Promise<void> {
  const complete = rows.map((row, i) => ({
    ingested_at: row.timestamp,
    source: 1,
    partition: 0,
    offset: i,
    // Rows of the past must outlive the test.
    retention_days: 3650,
    ...row,
  }));
  await store.insertJson('logs', complete);
}

export async function insertSources(store: Store): Promise<void> {
  await store.insertJson('sources', [
    { number: 1, kind: 'kafka', cluster: 'c', topic: 'logs', generation: 1 },
    { number: 2, kind: 'http', cluster: '', topic: '', generation: 7 },
  ]);
}
