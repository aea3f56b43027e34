/**
 * The guard inside every write of a lane: a condition on its rows that throws (code 395, `lane_closed`) once the
 * lane's token is revoked. It is evaluated for each block of rows when it arrives, so that an insert which was stopped
 * in the middle of its body is refused as a whole when it goes on after somebody else's claim.
 */
import type { LaneKey, LaneToken } from '../pipeline/ports.ts';
import type { Params, Store } from './clickhouse-client.ts';

/** Query ids of all writes of lanes begin so: whoever takes a lane waits for those that are running. */
export const WRITE_PREFIX = 'millrace-insert-';

/** A lane as one number: what `LANE_CODE` computes from the columns. */
export function laneCode({ source, partition }: LaneKey): number {
  return source * 65_536 + partition;
}

const LANE_CODE = 'toUInt32(source) * 65536 + partition';
/** Epoch of the row's lane among the tokens of the parameters; 0 for a lane without one. */
const EPOCH = `transform(${LANE_CODE}, {guardLanes:Array(UInt32)}, {guardEpochs:Array(UInt64)}, toUInt64(0))`;

/** True (1) where `epoch`, an expression, is revoked for the row's lane. */
export function revokedCondition(store: Store, epoch: string): string {
  // The database is named: mutations run without a current one.
  return `joinGet('${store.database}.lane_revocations', 'is_revoked', source, partition, toUInt64(${epoch}))`;
}

/** Condition for rows with the columns source and partition, whose tokens are given by `guardParams`. */
export function guardCondition(store: Store, epoch: string = EPOCH): string {
  return `throwIf(${epoch} = 0 OR ${revokedCondition(store, epoch)}, 'The lane was taken over') = 0`;
}

export function guardParams(tokens: readonly LaneToken[]): Params {
  return { guardLanes: tokens.map(laneCode), guardEpochs: tokens.map(({ epoch }) => epoch) };
}

/** `EPOCH` without parameters, for statements that outlive their request. Integers only: nothing to escape. */
export function epochLiteral(tokens: readonly LaneToken[]): string {
  const lanes = tokens.map((token) => `toUInt32(${laneCode(token)})`).join(', ');
  const epochs = tokens.map(({ epoch }) => `toUInt64(${epoch})`).join(', ');
  return `transform(${LANE_CODE}, [${lanes}], [${epochs}], toUInt64(0))`;
}

/** Lanes as a condition that the primary keys (source, partition, …) can use. Integers only: nothing to escape. */
export function lanesCondition(lanes: readonly LaneKey[]): string {
  return `(source, partition) IN (${lanes.map(({ source, partition }) => `(${source}, ${partition})`).join(', ')})`;
}

let writeCount = 0;

/** Id of one write, never used before in this process. */
export function nextWriteId(owner: string): string {
  writeCount += 1;
  return `${WRITE_PREFIX}${owner}-${writeCount}`;
}
