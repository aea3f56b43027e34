/**
 * Tokens of lanes. Claiming a lane adds a token to `lane_claims` and revokes all others; the lane is held by whoever
 * has the one token that is not revoked. Rows are only ever added to both tables, so the order of claims, their
 * repetition and a crash between any two statements do no harm: at worst, nobody holds the lane and it is claimed anew.
 *
 * Of claimers at the same time, each writes its token before it reads those of the others. So of any two at least one
 * sees, and revokes, the other's; who finds its own revoked begins again after a random pause.
 */
import { randomBytes, randomInt } from 'node:crypto';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { MillraceError } from '../errors.ts';
import type { ClaimRequest, LaneKey, LaneToken } from '../pipeline/ports.ts';
import type { Store } from './clickhouse-client.ts';
import { laneCode, lanesCondition, revokedCondition, WRITE_PREFIX } from './lane-guard.ts';
import { isMutexHeld } from './mutex.ts';

/** Held by a command that replaces stored rows: nobody may take a lane meanwhile. */
export const REPLACE_MUTEX = 'replace';

/** A token that is not revoked. */
interface StandingToken extends LaneToken {
  /** The token it was to continue; 0: a claim without a condition. */
  readonly heldEpoch: number;
  /** Rows with this token: more than one when two claimers drew the same. */
  readonly count: number;
}

const MAX_ATTEMPTS = 12;
/** Longest random pause between attempts, as a multiple of how long the last one took and of their number. */
const PAUSE_PER_ATTEMPT = 2;
const MAX_PAUSE_MS = 5000;
/** Tokens are milliseconds times this, plus a random number below it: below 2^53 until the year 2248. */
const EPOCHS_PER_MS = 1024;
const FIRST_POLL_MS = 5;
const MAX_POLL_MS = 200;
const MAX_NAME_LENGTH = 24;
const UNIQUE_BYTES = 6;

/** A name for this start of this program, never used before; of letters, digits and dashes. */
export function createOwnerName(): string {
  const host = hostname()
    .replaceAll(/[^A-Za-z0-9]+/g, '-')
    .slice(0, MAX_NAME_LENGTH);
  return `${host}-${process.pid}-${randomBytes(UNIQUE_BYTES).toString('hex')}`;
}

/** Greater than all before, whatever the clocks of the claimers say: the newest holder has the last word in the ledger. */
async function drawEpoch(store: Store, lanes: readonly LaneKey[]): Promise<number> {
  const [row] = await store.query<{ newest: number }>(
    `SELECT max(epoch) AS newest FROM lane_claims WHERE ${lanesCondition(lanes)}`,
  );
  return Math.max(Date.now() * EPOCHS_PER_MS, (row?.newest ?? 0) + 1) + randomInt(EPOCHS_PER_MS);
}

/** All tokens that are not revoked, by lane; of all lanes unless some are named. */
async function readStanding(
  store: Store,
  lanes?: readonly LaneKey[],
): Promise<ReadonlyMap<number, readonly StandingToken[]>> {
  const tokens = await store.query<StandingToken>(
    `SELECT source, partition, epoch, any(held_epoch) AS heldEpoch, toUInt32(count()) AS count FROM lane_claims
     WHERE ${revokedCondition(store, 'epoch')} = 0 ${lanes === undefined ? '' : `AND ${lanesCondition(lanes)}`}
     GROUP BY source, partition, epoch`,
  );
  const byLane = new Map<number, StandingToken[]>();
  for (const token of tokens) {
    const known = byLane.get(laneCode(token));
    if (known === undefined) byLane.set(laneCode(token), [token]);
    else known.push(token);
  }
  return byLane;
}

async function revoke(store: Store, tokens: readonly LaneToken[]): Promise<void> {
  const rows = tokens.map(({ source, partition, epoch }) => ({ source, partition, epoch, is_revoked: 1 }));
  await store.insertJson('lane_revocations', rows);
}

async function refuseDuringReplacement(store: Store): Promise<void> {
  if (!(await isMutexHeld(store, REPLACE_MUTEX))) return;
  throw new MillraceError(
    'store_unavailable',
    'A replacement of stored rows is running; lanes can be taken after it.',
  );
}

/** Whether a token is the held one, or stems from an earlier attempt to continue it. */
function continues(token: StandingToken, heldEpoch: number): boolean {
  return token.epoch === heldEpoch || token.heldEpoch === heldEpoch;
}

/** A claim under a condition that no longer holds: the held token is gone, or somebody else has one. */
function isLost(heldEpoch: number | undefined, standing: readonly StandingToken[]): boolean {
  if (heldEpoch === undefined) return false;
  return standing.length === 0 || !standing.every((token) => continues(token, heldEpoch));
}

type Settled = Map<number, LaneToken | undefined>;

/** One round of claims. Adds to `settled` the token of each lane, undefined for a lane that is lost. */
async function attemptClaims(
  store: Store,
  owner: string,
  claims: { readonly requests: readonly ClaimRequest[]; readonly settled: Settled },
): Promise<void> {
  const { requests, settled } = claims;
  const epoch = await drawEpoch(store, requests);
  const toToken = ({ source, partition }: LaneKey): LaneToken => ({ source, partition, epoch });
  await store.insertJson(
    'lane_claims',
    requests.map((request) => ({ ...toToken(request), owner, held_epoch: request.heldEpoch ?? 0 })),
  );
  try {
    // Whoever begins to replace after this sees, and revokes, the token.
    await refuseDuringReplacement(store);
  } catch (error) {
    await revoke(store, requests.map(toToken));
    throw error;
  }
  const found = await readStanding(store, requests);
  const revoked: LaneToken[] = [];
  for (const request of requests) {
    const code = laneCode(request);
    const others = (found.get(code) ?? []).filter((token) => token.epoch !== epoch);
    if (isLost(request.heldEpoch, others)) {
      settled.set(code, undefined);
      revoked.push(toToken(request));
    } else revoked.push(...others);
  }
  await revoke(store, revoked);
  await settleStanding(store, {
    ...claims,
    requests: requests.filter((request) => !settled.has(laneCode(request))),
    epoch,
  });
}

/** Settles the lanes whose new token stands; a token that somebody else revoked, or drew as well, is not good. */
async function settleStanding(
  store: Store,
  claims: { readonly requests: readonly ClaimRequest[]; readonly settled: Settled; readonly epoch: number },
): Promise<void> {
  const { requests, settled, epoch } = claims;
  if (requests.length === 0) return;
  const standing = await readStanding(store, requests);
  const drawnTwice: LaneToken[] = [];
  for (const { source, partition, heldEpoch } of requests) {
    const token = { source, partition, epoch };
    const code = laneCode(token);
    const own = standing.get(code)?.find((other) => other.epoch === epoch);
    if (own?.count === 1) settled.set(code, token);
    else {
      if (own !== undefined) drawnTwice.push(token);
      if (heldEpoch !== undefined) settled.set(code, undefined);
    }
  }
  await revoke(store, drawnTwice);
}

/**
 * New tokens for the lanes, in the order of the requests; undefined where the request's `heldEpoch` no longer holds.
 * What the others have under way may still be running: see `waitForWrites`. Throws `store_unavailable` while stored
 * rows are being replaced, or when other claimers were faster again and again.
 */
export async function claimTokens(
  store: Store,
  owner: string,
  requests: readonly ClaimRequest[],
): Promise<(LaneToken | undefined)[]> {
  if (requests.length === 0) return [];
  await refuseDuringReplacement(store);
  const settled: Settled = new Map();
  const held = requests.filter(({ heldEpoch }) => heldEpoch !== undefined);
  const standing = held.length === 0 ? undefined : await readStanding(store, held);
  for (const request of held) {
    const code = laneCode(request);
    if (isLost(request.heldEpoch, standing?.get(code) ?? [])) settled.set(code, undefined);
  }
  for (let attempt = 1; ; attempt += 1) {
    const open = requests.filter((request) => !settled.has(laneCode(request)));
    if (open.length === 0) break;
    if (attempt > MAX_ATTEMPTS) {
      throw new MillraceError(
        'store_unavailable',
        `Others claimed the same ${open.length} lanes again and again.`,
      );
    }
    const startedAt = performance.now();
    await attemptClaims(store, owner, { requests: open, settled });
    // Long enough that of several one gets through alone, however slow the store is now.
    const longestMs = Math.ceil((performance.now() - startedAt) * PAUSE_PER_ATTEMPT * attempt);
    if (settled.size < requests.length) await sleep(randomInt(Math.min(MAX_PAUSE_MS, longestMs)));
  }
  return requests.map((request) => settled.get(laneCode(request)));
}

/** Writes that run now: queries by owners the lanes ever had, and deletions from rollups. Ids of any kind. */
async function readWrites(store: Store, lanes: string): Promise<string[]> {
  const rows = await store.query<{ id: string }>(
    `SELECT query_id AS id FROM system.processes
     WHERE startsWith(query_id, '${WRITE_PREFIX}') AND replaceRegexpOne(query_id, '^${WRITE_PREFIX}(.*)-[^-]*$', '\\\\1')
       IN (SELECT owner FROM lane_claims WHERE ${lanes})
     UNION ALL
     SELECT concat(table, '/', mutation_id) AS id FROM system.mutations
     WHERE database = currentDatabase() AND NOT is_done AND position(command, 'lane_revocations') > 0`,
  );
  return rows.map(({ id }) => id);
}

async function waitUntilEnded(store: Store, lanes: string, timeoutMs: number): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  // Only those that run now: the guard refuses what comes later.
  let running = await readWrites(store, lanes);
  for (let pollMs = FIRST_POLL_MS; running.length > 0; pollMs = Math.min(MAX_POLL_MS, pollMs * 2)) {
    if (performance.now() > deadline) {
      throw new MillraceError(
        'store_unavailable',
        `Inserts into lanes to be taken did not end within ${timeoutMs} ms.`,
      );
    }
    await sleep(pollMs);
    const still = new Set(await readWrites(store, lanes));
    running = running.filter((id) => still.has(id));
  }
}

/**
 * Waits until the writes have ended that run now by anybody who ever held one of the lanes. Of those whose token is
 * revoked nothing can be stored after this. Throws `store_unavailable` when one lasts longer than `timeoutMs`.
 */
export async function waitForWrites(
  store: Store,
  lanes: readonly LaneKey[],
  timeoutMs: number,
): Promise<void> {
  if (lanes.length > 0) await waitUntilEnded(store, lanesCondition(lanes), timeoutMs);
}

/**
 * Revokes all tokens of all lanes and waits until their writes have ended. To be called while holding `REPLACE_MUTEX`:
 * nobody can take a lane until it is given back.
 */
export async function fenceAllLanes(store: Store, timeoutMs: number): Promise<void> {
  await revoke(store, [...(await readStanding(store)).values()].flat());
  await waitUntilEnded(store, '1', timeoutMs);
}

/**
 * Tokens for statements of whoever has fenced all lanes; a claim that comes after the mutex has expired revokes them.
 * Hand them to `releaseFenced` before the mutex is given back.
 */
export async function takeFenced(
  store: Store,
  owner: string,
  lanes: readonly LaneKey[],
): Promise<LaneToken[]> {
  if (lanes.length === 0) return [];
  const epoch = await drawEpoch(store, lanes);
  const tokens = lanes.map(({ source, partition }) => ({ source, partition, epoch }));
  await store.insertJson(
    'lane_claims',
    tokens.map((token) => ({ ...token, owner, held_epoch: 0 })),
  );
  return tokens;
}

export async function releaseFenced(store: Store, tokens: readonly LaneToken[]): Promise<void> {
  await revoke(store, tokens);
}

/** Throws `lane_closed` when a lane was claimed after `fenceAllLanes`. */
export async function checkFenced(store: Store): Promise<void> {
  if ((await readStanding(store)).size === 0) return;
  throw new MillraceError(
    'lane_closed',
    'The replacement stood still for too long: a lane was taken meanwhile.',
  );
}
