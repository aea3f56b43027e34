/**
 * Sums up the ledger, so that reading it does not become dearer with every second. Each step writes, per lane, one row
 * that stands for all before it, made from the last such row and what came behind it; whoever does the same at the same
 * time comes to sums that are as true, and one of the two counts. See src/pipeline/ledger-sql.ts.
 */
import { sumLedger, unsummedCondition } from '../pipeline/ledger-sql.ts';
import type { LaneKey } from '../pipeline/ports.ts';
import type { Store } from './clickhouse-client.ts';
import { lanesCondition } from './lane-guard.ts';

/** Rows per statement: bounds its memory to some hundred MB. */
const STEP_ROWS = 250_000;
/** In one go; the next goes on from there. */
const MAX_STEPS = 200;

export async function sumUpLedger(store: Store): Promise<void> {
  for (let step = 0; step < MAX_STEPS; step += 1) {
    const condition = await unsummedCondition(store);
    const [found] = await store.query<{ rows: number }>(
      `SELECT count() AS rows FROM ledger WHERE ${condition}`,
    );
    const select = sumLedger(condition, { isFinal: true, limit: STEP_ROWS });
    await store.command(`INSERT INTO ledger_sums (${SUM_COLUMNS}) SELECT ${SUM_COLUMNS} FROM (${select})`);
    if ((found?.rows ?? 0) <= STEP_ROWS) return;
  }
}

const SUM_COLUMNS = [
  'source, partition, version, epoch, from_offset, to_offset, first_offset, top_offset, received, stored',
  'already_present, lost_upstream, filtered, dead_lettered, unbalanced, hole_count, holes',
].join(', ');

export interface LedgerEnd extends LaneKey {
  /** Exclusive. */
  readonly end: number;
}

/**
 * Where the ledger of each lane ends, of all lanes unless some are named; a lane without rows is left out. The newest
 * holder decides: after a partition was cut off its offsets, and the ledger, go back.
 */
export async function readLedgerEnds(store: Store, lanes?: readonly LaneKey[]): Promise<LedgerEnd[]> {
  if (lanes?.length === 0) return [];
  const condition = await unsummedCondition(store, lanes);
  const where = lanes === undefined ? '1' : lanesCondition(lanes);
  return await store.query<LedgerEnd>(
    `SELECT source, partition, argMax(to_offset, (epoch, to_offset)) AS end FROM (
       SELECT source, partition, epoch, to_offset FROM ledger WHERE ${condition}
       UNION ALL SELECT source, partition, epoch, to_offset FROM ledger_sums FINAL WHERE ${where})
     GROUP BY source, partition ORDER BY source, partition`,
  );
}
