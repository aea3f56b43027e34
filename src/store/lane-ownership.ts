/**
 * Takes lanes over, many in a few statements: implements its port on the HTTP client. In this order: a new token, all
 * others revoked; the writes that were running have ended; what is stored is read; rollups agree with it.
 */
import { failpoint, isSabotaged } from '../failpoints.ts';
import type {
  BlockTable,
  ClaimRequest,
  LaneKey,
  LaneOwnership,
  LaneStanding,
  LaneToken,
  PresentRows,
} from '../pipeline/ports.ts';
import type { Store } from './clickhouse-client.ts';
import { claimTokens, waitForWrites } from './lane-claims.ts';
import { laneCode } from './lane-guard.ts';
import { type LaneStart, NO_ROWS, readLedgerEnds, readPresent } from './read-back.ts';
import { repairRollups } from './rollup-repair.ts';

export interface LaneOwnershipOptions {
  /** From `createOwnerName`: the same as that of the inserts. */
  readonly owner: string;
  /** How long the inserts of former holders may take to end; default 60 s. */
  readonly writesTimeoutMs?: number;
}

const DEFAULT_WRITES_TIMEOUT_MS = 60_000;

type Present = Readonly<Record<BlockTable, PresentRows>>;

async function readBack(store: Store, starts: readonly LaneStart[]): Promise<(lane: LaneKey) => Present> {
  await failpoint('read_back');
  if (starts.length === 0 || isSabotaged('skip_read_back'))
    return () => ({ logs: NO_ROWS, dead_letters: NO_ROWS });
  const [logs, letters] = await Promise.all([
    readPresent(store, 'logs', starts),
    readPresent(store, 'dead_letters', starts),
  ]);
  return (lane) => ({ logs: logs(lane), dead_letters: letters(lane) });
}

/** Standings of lanes that were just claimed, in order. */
async function takeOver(
  store: Store,
  owner: string,
  lanes: readonly { readonly request: ClaimRequest; readonly token: LaneToken }[],
): Promise<LaneStanding[]> {
  if (lanes.length === 0) return [];
  const tokens = lanes.map(({ token }) => token);
  const ends = await readLedgerEnds(store, tokens);
  const starts: LaneStart[] = lanes.map(({ request, token }) => ({
    source: token.source,
    partition: token.partition,
    fromOffset: request.fromOffset ?? ends.get(laneCode(token)) ?? 0,
    toOffset: request.toOffset,
  }));
  const presentOf = await readBack(store, starts);
  const touched = starts.filter((lane) => presentOf(lane).logs.offsets.length > 0);
  await repairRollups(store, { owner, tokens, starts: touched });
  return tokens.map((token) => {
    const ledgerOffset = ends.get(laneCode(token));
    return { ...token, ...(ledgerOffset !== undefined && { ledgerOffset }), present: presentOf(token) };
  });
}

export function createLaneOwnership(store: Store, options: LaneOwnershipOptions): LaneOwnership {
  const { owner, writesTimeoutMs = DEFAULT_WRITES_TIMEOUT_MS } = options;
  return {
    async claim(requests: readonly ClaimRequest[]): Promise<readonly (LaneStanding | undefined)[]> {
      const tokens = await claimTokens(store, owner, requests);
      const lanes = requests.flatMap((request, i) => {
        const token = tokens[i];
        return token === undefined ? [] : [{ request, token }];
      });
      await waitForWrites(
        store,
        lanes.map(({ token }) => token),
        writesTimeoutMs,
      );
      const standings = new Map(
        (await takeOver(store, owner, lanes)).map((standing) => [laneCode(standing), standing]),
      );
      return requests.map((request) => standings.get(laneCode(request)));
    },
  };
}
