/**
 * Lanes of direct sources whose start has ended. Nobody claims such a lane again, so somebody else must do what its next
 * owner would have: claim it, which repairs the rollups, and write the rows of the ledger that are missing. A lane that
 * was settled is marked, under its newest claim, and not looked at again until somebody claims it.
 *
 * With an embedded ClickHouse all lanes but the program's own are dead. At an external one their start may be alive:
 * a lane is taken for dead when rows of it have been without a ledger for minutes, or when for a day its claim was not
 * renewed and its ledger got no row. A wrong guess costs a living start its lane, and it opens another.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { errorMessage } from '../errors.ts';
import type { BlockStore, LaneKey, LaneOwnership, LaneToken } from '../pipeline/ports.ts';
import type { Telemetry } from '../telemetry.ts';
import type { Store } from './clickhouse-client.ts';
import { laneCode, lanesCondition, revokedCondition } from './lane-guard.ts';
import { readLedgerEnds } from './ledger-sums.ts';
import { rangesCondition } from './replay-tables.ts';

export interface SettleOptions {
  readonly store: Store;
  readonly ownership: LaneOwnership;
  readonly blocks: Pick<BlockStore, 'insertLedger'>;
  /** Lanes that are open here. */
  readonly isOpen: (lane: LaneKey) => boolean;
  /** Tokens of lanes that are open here; they may be those of any source. */
  readonly openTokens: () => readonly LaneToken[];
  /** An external ClickHouse: other programs may be alive. */
  readonly isShared: boolean;
}

interface ClaimedLane extends LaneKey {
  /** Of its newest claim. */
  readonly epoch: number;
  readonly ageSeconds: number;
}

/** Offsets [fromOffset, toOffset) of a lane that no row of the ledger covers. */
interface Gap extends LaneKey {
  readonly fromOffset: number;
  readonly toOffset: number;
}

/** What lies in a gap. */
interface GapRows extends Gap {
  /** End of what lies in it (exclusive). */
  readonly end: number;
  readonly rowCount: number;
  readonly deadLettered: Readonly<Record<string, number>>;
  /** Since the oldest was stored. */
  readonly ageSeconds: number;
}

const ROUND_MS = 60_000;
const STOP_MS = 2000;
const MAX_LANES = 100;
/** Past every offset (40 bits). */
const NO_END = 2 ** 40;
const STALE_SECONDS = 300;
const OLD_SECONDS = 86_400;
/** Several tries fit into the day after which a claim counts as left behind. */
const RENEWAL_SECONDS = 6 * 3600;

/** Runs a round at once and every minute, until it is stopped. */
export function startSettling(options: SettleOptions, telemetry: Telemetry): { stop(): Promise<void> } {
  let round: Promise<void> | undefined;
  const settle = async (): Promise<void> => {
    try {
      const count = await settleDeadLanes(options);
      if (count > 0) telemetry.emit('lanes_settled', { count }, count);
    } catch (error) {
      telemetry.emit('settling_failed', { reason: errorMessage(error) });
    }
    round = undefined;
  };
  const run = (): void => {
    round ??= settle();
  };
  const timer = setInterval(run, ROUND_MS);
  run();
  return {
    async stop() {
      clearInterval(timer);
      const over = new AbortController();
      await Promise.race([round, delay(STOP_MS, undefined, { signal: over.signal }).catch(() => undefined)]);
      over.abort();
    },
  };
}

/** One round, over at most 100 lanes; how many were settled. What fails rejects, and may be tried again. */
export async function settleDeadLanes(options: SettleOptions): Promise<number> {
  const { store, isOpen, isShared } = options;
  if (isShared) await renewClaims(store, options.openTokens());
  const lanes = (await readUnsettled(store)).filter((lane) => !isOpen(lane)).slice(0, MAX_LANES);
  if (lanes.length === 0) return 0;
  const reserved = await readReserved(store, lanes);
  const gaps = without(await readGaps(store, lanes), reserved);
  const found = await readRows(store, gaps);
  const active = isShared ? await readActive(store, lanes) : new Set<number>();
  let count = 0;
  for (const lane of lanes) {
    const isOwn = (place: LaneKey): boolean => laneCode(place) === laneCode(lane);
    const rows = found.filter(isOwn);
    const isStale = rows.some(({ ageSeconds }) => ageSeconds > STALE_SECONDS);
    const isYoung = lane.ageSeconds < OLD_SECONDS || active.has(laneCode(lane));
    if (isShared && !isStale && isYoung) continue;
    await settleLane(options, lane, { rows, gaps: gaps.filter(isOwn), isWhole: !reserved.some(isOwn) });
    count++;
  }
  return count;
}

interface LaneFindings {
  readonly gaps: readonly Gap[];
  readonly rows: readonly GapRows[];
  /** False: it must be looked at again. */
  readonly isWhole: boolean;
}

async function settleLane(
  { store, ownership, blocks, isShared }: SettleOptions,
  lane: ClaimedLane,
  { gaps, rows, isWhole }: LaneFindings,
): Promise<void> {
  const { source, partition } = lane;
  const end = await readEnds(store, lane);
  let { epoch } = lane;
  if (isShared || rows.length > 0 || end.newest < end.furthest) {
    const fromOffset = Math.min(end.furthest, ...rows.map((gap) => gap.fromOffset));
    const [standing] = await ownership.claim([{ source, partition, fromOffset }]);
    if (standing === undefined) return;
    epoch = standing.epoch;
    // Counted again: what its start had under way may have come since.
    const now = await readRows(store, gaps);
    const top = Math.max(end.furthest, ...now.map((gap) => gap.end));
    // The newest claim's row decides where a ledger ends: it must not go back to a gap in the middle.
    const isEnd = top === 0 || now.some((gap) => gap.end === top);
    const entries = [...now, ...(isEnd ? [] : [emptyAt(lane, top)])];
    await blocks.insertLedger(entries.map((gap) => toEntry(gap, epoch)));
  }
  if (isWhole) await store.insertJson('settled_lanes', [{ source, partition, epoch }]);
}

function emptyAt({ source, partition }: LaneKey, at: number): GapRows {
  const place = { source, partition, fromOffset: at, toOffset: at, end: at };
  return { ...place, rowCount: 0, deadLettered: {}, ageSeconds: 0 };
}

function toEntry({ source, partition, fromOffset, end, rowCount, deadLettered }: GapRows, epoch: number) {
  const deadCount = Object.values(deadLettered).reduce((sum, count) => sum + count, 0);
  return {
    source,
    partition,
    epoch,
    fromOffset,
    toOffset: end,
    receivedCount: rowCount + deadCount,
    storedCount: rowCount,
    alreadyPresentCount: 0,
    lostUpstreamCount: 0,
    filtered: {},
    deadLettered,
  };
}

/** Lanes of direct sources with a claim since they were settled; small tables only. */
async function readUnsettled(store: Store): Promise<ClaimedLane[]> {
  return await store.query<ClaimedLane>(
    `SELECT source, partition, max(c.epoch) AS epoch,
       toInt64(dateDiff('second', max(claimed_at), now64(3))) AS ageSeconds
     FROM lane_claims AS c
     LEFT JOIN (SELECT source, partition, max(epoch) AS settled FROM settled_lanes GROUP BY source, partition) AS s
       USING (source, partition)
     WHERE source IN (SELECT number FROM sources WHERE kind != 'kafka')
     GROUP BY source, partition HAVING epoch > max(s.settled) ORDER BY epoch DESC`,
  );
}

/** Lanes, as codes, whose ledger got a row within a day. */
async function readActive(store: Store, lanes: readonly LaneKey[]): Promise<ReadonlySet<number>> {
  const rows = await store.query<LaneKey>(
    `SELECT DISTINCT source, partition FROM ledger
     WHERE ${lanesCondition(lanes)} AND committed_at > now64(3) - INTERVAL ${OLD_SECONDS} SECOND`,
  );
  return new Set(rows.map(laneCode));
}

/** Writes the claims of lanes of direct sources again that still hold and are hours old: their owner lives. */
async function renewClaims(store: Store, tokens: readonly LaneToken[]): Promise<void> {
  if (tokens.length === 0) return;
  // Integers only: nothing to escape.
  const list = tokens.map(({ source, partition, epoch }) => `(${source}, ${partition}, ${epoch})`);
  await store.command(
    `INSERT INTO lane_claims (source, partition, epoch, owner, held_epoch)
     SELECT source, partition, epoch, any(owner), any(held_epoch) FROM lane_claims
     WHERE (source, partition, epoch) IN (${list.join(', ')}) AND ${revokedCondition(store, 'epoch')} = 0
       AND source IN (SELECT number FROM sources WHERE kind != 'kafka')
     GROUP BY source, partition, epoch HAVING max(claimed_at) < now64(3) - INTERVAL ${RENEWAL_SECONDS} SECOND`,
  );
}

/** Where keyed bodies that were never answered lie, or may come to lie: who sends them again sees to those. */
async function readReserved(store: Store, lanes: readonly LaneKey[]): Promise<Gap[]> {
  return await store.query<Gap>(
    `SELECT source, partition, from_offset AS fromOffset, max(to_offset) AS toOffset FROM idempotency
     WHERE ${lanesCondition(lanes)} AND state IN ('reserved', 'withdrawn') AND created_at > now64(3) - INTERVAL 24 HOUR
       AND key NOT IN (SELECT key FROM idempotency WHERE state = 'done' AND created_at > now64(3) - INTERVAL 24 HOUR)
     GROUP BY key, source, partition, from_offset HAVING countIf(state = 'withdrawn') = 0
     ORDER BY source, partition, from_offset`,
  );
}

/** The holes of each lane's ledger, and what is past its end. */
async function readGaps(store: Store, lanes: readonly LaneKey[]): Promise<Gap[]> {
  const where = lanesCondition(lanes);
  const gaps = await store.query<Gap>(
    `SELECT source, partition, reached AS fromOffset, from_offset AS toOffset FROM (
       SELECT source, partition, from_offset, max(to_offset) OVER (PARTITION BY source, partition
         ORDER BY from_offset ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS reached
       FROM ledger FINAL WHERE ${where})
     WHERE from_offset > reached
     UNION ALL
     SELECT source, partition, max(to_offset) AS fromOffset, toUInt64(${NO_END}) AS toOffset FROM ledger
     WHERE ${where} GROUP BY source, partition`,
  );
  const known = new Set(gaps.map(laneCode));
  const others = lanes.filter((lane) => !known.has(laneCode(lane)));
  return [
    ...gaps,
    ...others.map(({ source, partition }) => ({ source, partition, fromOffset: 0, toOffset: NO_END })),
  ];
}

/** The gaps around the places. */
function without(gaps: readonly Gap[], places: readonly Gap[]): Gap[] {
  let left = [...gaps];
  for (const place of places) {
    left = left.flatMap((gap) => {
      if (laneCode(gap) !== laneCode(place)) return [gap];
      const before = { ...gap, toOffset: Math.min(gap.toOffset, place.fromOffset) };
      const after = { ...gap, fromOffset: Math.max(gap.fromOffset, place.toOffset) };
      return [before, after].filter(({ fromOffset, toOffset }) => fromOffset < toOffset);
    });
  }
  return left;
}

interface FoundRows extends LaneKey {
  readonly gap: number;
  readonly end: number;
  readonly rowCount: number;
  readonly dead: Readonly<Record<string, number>>;
  readonly ageSeconds: number;
}

/** Gaps with rows or letters in them. */
async function readRows(store: Store, gaps: readonly Gap[]): Promise<GapRows[]> {
  if (gaps.length === 0) return [];
  const where = rangesCondition(gaps);
  const starts = gaps.map((gap) => `(${gap.source}, ${gap.partition}, ${gap.fromOffset}, ${gap.toOffset})`);
  const rows = await store.query<FoundRows>(
    `SELECT toUInt32(arrayFirstIndex(g -> g.1 = source AND g.2 = partition AND offset >= g.3 AND offset < g.4,
         [${starts.join(', ')}])) AS gap,
       max(last) AS end, countIf(reason = '') AS rowCount,
       toInt64(dateDiff('second', min(stored_at), now())) AS ageSeconds,
       sumMapIf(map(reason, records), reason != '') AS dead
     FROM (
       SELECT source, partition, offset, offset + 1 AS last, stored_at, '' AS reason, toUInt64(1) AS records
       FROM logs WHERE ${where}
       UNION ALL
       SELECT source, partition, offset, greatest(to_offset, offset + 1), toDateTime(stored_at), toString(reason),
         toUInt64(greatest(record_count, 1))
       FROM dead_letters WHERE ${where})
     GROUP BY gap`,
  );
  return rows.flatMap(({ gap, end, rowCount, dead, ageSeconds }) => {
    const place = gaps[gap - 1];
    return place === undefined ? [] : [{ ...place, end, rowCount, deadLettered: dead, ageSeconds }];
  });
}

/** Where the lane's ledger ends by its newest claim, and the furthest that any row of it reaches. */
async function readEnds(store: Store, lane: LaneKey): Promise<{ newest: number; furthest: number }> {
  const [row] = await store.query<{ furthest: number }>(
    `SELECT max(to_offset) AS furthest FROM ledger WHERE ${lanesCondition([lane])}`,
  );
  const newest = (await readLedgerEnds(store, [lane]))[0]?.end ?? 0;
  return { newest, furthest: row?.furthest ?? 0 };
}
