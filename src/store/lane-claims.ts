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
import { laneCode, lanesCondition, revokedCondition } from './lane-guard.ts';
import { waitForWrites } from './lane-writes.ts';
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

/** Lanes, as codes, of which somebody else drew a greater token meanwhile. Tokens must ascend from holder to holder. */
async function readOvertaken(
  store: Store,
  lanes: readonly LaneKey[],
  epoch: number,
): Promise<ReadonlySet<number>> {
  const newer = await store.query<LaneKey>(
    `SELECT DISTINCT source, partition FROM lane_claims WHERE ${lanesCondition(lanes)} AND epoch > ${epoch}`,
  );
  return new Set(newer.map(laneCode));
}

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
  const overtaken = await readOvertaken(store, requests, epoch);
  const found = await readStanding(store, requests);
  const revoked: LaneToken[] = [];
  for (const request of requests) {
    const code = laneCode(request);
    const others = (found.get(code) ?? []).filter((token) => token.epoch !== epoch);
    const isGivenUp = isLost(request.heldEpoch, others);
    if (isGivenUp) settled.set(code, undefined);
    // Overtaken, it leaves the others alone: the next attempt draws above them.
    if (isGivenUp || overtaken.has(code)) revoked.push(toToken(request));
    else revoked.push(...others);
  }
  await revoke(store, revoked);
  const open = requests.filter((request) => {
    const code = laneCode(request);
    return !settled.has(code) && !overtaken.has(code);
  });
  await settleStanding(store, { ...claims, requests: open, epoch });
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

export interface Claimer {
  readonly owner: string;
  readonly isWanted?: (() => boolean) | undefined;
}

/** Throws `lane_closed` when the claim is no longer wanted, after giving back the tokens that were drawn for it. */
export async function checkWanted(
  store: Store,
  { isWanted }: Claimer,
  drawn: Iterable<LaneToken | undefined>,
): Promise<void> {
  if (isWanted === undefined || isWanted()) return;
  await revoke(
    store,
    [...drawn].filter((token) => token !== undefined),
  );
  throw new MillraceError('lane_closed', 'The lanes are no longer wanted.');
}

/**
 * New tokens for the lanes, in the order of the requests; undefined where the request's `heldEpoch` no longer holds.
 * What the others have under way may still be running: see `waitForWrites`. Throws `store_unavailable` while stored
 * rows are being replaced, or when other claimers were faster again and again, and `lane_closed` when the lanes are no
 * longer wanted.
 */
export async function claimTokens(
  store: Store,
  claimer: Claimer,
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
    await checkWanted(store, claimer, settled.values());
    const startedAt = performance.now();
    await attemptClaims(store, claimer.owner, { requests: open, settled });
    // Long enough that of several one gets through alone, however slow the store is now.
    const longestMs = Math.ceil((performance.now() - startedAt) * PAUSE_PER_ATTEMPT * attempt);
    if (settled.size < requests.length) await sleep(randomInt(Math.min(MAX_PAUSE_MS, longestMs)));
  }
  return requests.map((request) => settled.get(laneCode(request)));
}

/**
 * Revokes all tokens of all lanes and waits until their writes have ended. To be called while holding `REPLACE_MUTEX`:
 * nobody can take a lane until it is given back.
 */
export async function fenceAllLanes(store: Store, timeoutMs: number): Promise<void> {
  await revoke(store, [...(await readStanding(store)).values()].flat());
  await waitForWrites(store, undefined, timeoutMs);
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
