/** Law 1 by lane: the rows of the ledger against the broker's records and against what is stored. */
import type { Store } from '../../../src/store/clickhouse-client.ts';
import type { LaneSums } from './rows.ts';
import type { LaneTruth } from './truth.ts';

interface LedgerRow {
  readonly from_offset: number;
  readonly to_offset: number;
  readonly received: number;
  readonly stored: number;
  readonly already_present: number;
  readonly lost_upstream: number;
  readonly filtered: number;
  readonly dead_lettered: number;
}

export interface LedgerToCheck {
  readonly lane: LaneTruth;
  readonly source: number;
  readonly sums: LaneSums;
}

const LEDGER_SQL = `SELECT from_offset, to_offset, received, stored, already_present, lost_upstream,
    arraySum(mapValues(filtered)) AS filtered, arraySum(mapValues(dead_lettered)) AS dead_lettered
  FROM ledger FINAL WHERE source = {source:UInt8} AND partition = {partition:UInt16} ORDER BY from_offset`;

/** The stretches of a lane, in order. */
export async function readLedger(
  store: Store,
  lane: { readonly source: number; readonly partition: number },
): Promise<LedgerRow[]> {
  return await store.query<LedgerRow>(LEDGER_SQL, { ...lane });
}

export async function ledgerFindings(store: Store, { lane, source, sums }: LedgerToCheck): Promise<string[]> {
  const rows = await readLedger(store, { source, partition: lane.partition });
  const name = `ledger of ${lane.topic}/${lane.partition}`;
  const first = rows[0];
  if (first === undefined) return lane.count === sums.gone ? [] : [`${name} is empty`];
  const findings: string[] = [];
  let end = first.from_offset;
  const total = { stored: 0, present: 0, lost: 0, filtered: 0, dead: 0 };
  for (const row of rows) {
    const stretch = `${name} ${row.from_offset}–${row.to_offset}`;
    if (row.from_offset !== end)
      findings.push(`${stretch} ${row.from_offset > end ? 'leaves a hole' : 'overlaps'}: expected ${end}`);
    end = row.to_offset;
    const { received, stored, already_present, filtered, dead_lettered } = row;
    if (received !== stored + already_present + filtered + dead_lettered)
      findings.push(`${stretch} does not balance: ${JSON.stringify(row)}`);
    if (received + row.lost_upstream !== row.to_offset - row.from_offset)
      findings.push(`${stretch} does not account for each offset: ${JSON.stringify(row)}`);
    total.stored += stored;
    total.present += already_present;
    total.lost += row.lost_upstream;
    total.filtered += filtered;
    total.dead += dead_lettered;
  }
  if (first.from_offset !== lane.firstOffset)
    findings.push(`${name} begins at ${first.from_offset}, not ${lane.firstOffset}`);
  const rightEnd = lane.endOffset - sums.gone;
  if (end !== rightEnd) findings.push(`${name} ends at ${end}, not ${rightEnd}`);
  if (total.stored + total.present + total.dead !== sums.rows + sums.deadLetters)
    findings.push(`${name}: ${JSON.stringify(total)}, but the records make ${JSON.stringify(sums)}`);
  if (total.filtered !== sums.filtered)
    findings.push(`${name}: ${total.filtered} filtered, not ${sums.filtered}`);
  if (total.lost !== sums.lost) findings.push(`${name}: ${total.lost} lost upstream, not ${sums.lost}`);
  return findings.slice(0, 5);
}
