/**
 * Takes lanes over, many in a few statements: implements its port on the HTTP client. In this order: a new token, all
 * others revoked; the writes that were running have ended; what is stored is read; rollups agree with it.
 */
import { failpoint, isSabotaged } from '../failpoints.ts';
import type { ClaimRequest, LaneKey, LaneOwnership, LaneStanding, LaneToken } from '../pipeline/ports.ts';
import type { Telemetry } from '../telemetry.ts';
import type { Store } from './clickhouse-client.ts';
import { checkWanted, claimTokens } from './lane-claims.ts';
import { laneCode } from './lane-guard.ts';
import { waitForWrites } from './lane-writes.ts';
import { readLedgerEnds } from './ledger-sums.ts';
import { type LaneRows, type LaneStart, NO_ROWS, readPresent, rowsBelow } from './read-back.ts';
import { repairRollups } from './rollup-repair.ts';

export interface LaneOwnershipOptions {
  /** From `createOwnerName`: the same as that of the inserts. */
  readonly owner: string;
  /** How long the inserts of former holders may take to end; default 60 s. */
  readonly writesTimeoutMs?: number;
  /** Rows of one table that a claim reads back, over all lanes; default 2,000,000 (16 bytes each). */
  readonly maxRows?: number;
  readonly telemetry?: Telemetry | undefined;
}

const DEFAULT_WRITES_TIMEOUT_MS = 60_000;
const DEFAULT_MAX_ROWS = 2_000_000;

type Present = Pick<LaneStanding, 'present' | 'presentTo'>;

async function readBack(
  store: Store,
  scope: { readonly starts: readonly LaneStart[]; readonly maxRows: number },
): Promise<(lane: LaneKey) => Present> {
  await failpoint('read_back');
  if (scope.starts.length === 0 || isSabotaged('skip_read_back'))
    return () => ({ present: { logs: NO_ROWS, dead_letters: NO_ROWS } });
  const [logs, letters] = await Promise.all([
    readPresent(store, 'logs', scope),
    readPresent(store, 'dead_letters', scope),
  ]);
  return (lane) => joinTables(logs(lane), letters(lane));
}

/** Both tables as far as both were read. */
function joinTables(logs: LaneRows, letters: LaneRows): Present {
  const presentTo = Math.min(logs.toOffset ?? Infinity, letters.toOffset ?? Infinity);
  if (presentTo === Infinity) return { present: { logs: logs.rows, dead_letters: letters.rows } };
  return {
    presentTo,
    present: { logs: rowsBelow(logs.rows, presentTo), dead_letters: rowsBelow(letters.rows, presentTo) },
  };
}

/** Standings of lanes that were just claimed, in order. */
async function takeOver(
  store: Store,
  options: LaneOwnershipOptions & { readonly maxRows: number },
  lanes: readonly { readonly request: ClaimRequest; readonly token: LaneToken }[],
): Promise<LaneStanding[]> {
  const tokens = lanes.map(({ token }) => token);
  const ends = new Map((await readLedgerEnds(store, tokens)).map((lane) => [laneCode(lane), lane.end]));
  const starts: LaneStart[] = lanes.map(({ request, token }) => ({
    source: token.source,
    partition: token.partition,
    fromOffset: request.fromOffset ?? ends.get(laneCode(token)) ?? 0,
    toOffset: request.toOffset,
  }));
  const presentOf = await readBack(store, { starts, maxRows: options.maxRows });
  const touched = starts
    .map((lane) => ({ ...lane, toOffset: presentOf(lane).presentTo }))
    .filter((lane) => presentOf(lane).present.logs.offsets.length > 0);
  const { owner, telemetry } = options;
  await repairRollups(store, { owner, telemetry, tokens, starts: touched });
  return tokens.map((token) => {
    const ledgerOffset = ends.get(laneCode(token));
    return { ...token, ...(ledgerOffset !== undefined && { ledgerOffset }), ...presentOf(token) };
  });
}

export function createLaneOwnership(store: Store, options: LaneOwnershipOptions): LaneOwnership {
  const { owner, writesTimeoutMs = DEFAULT_WRITES_TIMEOUT_MS, maxRows = DEFAULT_MAX_ROWS } = options;
  return {
    async claim(requests, { isWanted } = {}) {
      const claimer = { owner, isWanted };
      const tokens = await claimTokens(store, claimer, requests);
      const lanes = requests.flatMap((request, i) => {
        const token = tokens[i];
        return token === undefined ? [] : [{ request, token }];
      });
      if (lanes.length === 0) return requests.map(() => undefined);
      await waitForWrites(
        store,
        lanes.map(({ token }) => token),
        writesTimeoutMs,
      );
      await checkWanted(store, claimer, tokens);
      const taken = await takeOver(store, { ...options, maxRows }, lanes);
      const standings = new Map(taken.map((standing) => [laneCode(standing), standing]));
      return requests.map((request) => standings.get(laneCode(request)));
    },
  };
}
