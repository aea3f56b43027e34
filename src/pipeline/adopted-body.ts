/**
 * A keyed body whose start is gone: its lane is taken over, and what is missing of it is stored at the offsets that
 * were reserved for it, so that its events keep their ids.
 */
import { MillraceError } from '../errors.ts';
import { DirectSource, type DirectSourcePorts } from './direct-source.ts';
import type { FoundReservation } from './idempotency-port.ts';
import type { IngestOptions, IngestOutcome } from './ingest-port.ts';
import type { Lane } from './lane.ts';
import type { BodyFormat } from './parse-protocol.ts';
import type { BlockStore, BlockTable, ClaimRequest, LaneKey, LaneStanding } from './ports.ts';

export type BodyPorts = Pick<DirectSourcePorts, 'arena' | 'coordinator' | 'pool' | 'clock' | 'refusal'>;

export interface Adoption extends BodyPorts {
  readonly store: Pick<BlockStore, 'insertLedger'>;
  readonly standing: LaneStanding;
  readonly place: FoundReservation;
  /** As when the body came first: who sends it again with another one is refused before. */
  readonly scope: IngestOptions['scope'];
}

/** One request for each lane, for what its places span: nobody asks for anything outside. */
export function claimsFor(places: readonly FoundReservation[]): ClaimRequest[] {
  const requests = new Map<string, Required<Omit<ClaimRequest, 'heldEpoch'>>>();
  for (const place of places) {
    const { source, partition } = place;
    const name = `${source}/${partition}`;
    const known = requests.get(name) ?? place;
    const fromOffset = Math.min(known.fromOffset, place.fromOffset);
    requests.set(name, { source, partition, fromOffset, toOffset: Math.max(known.toOffset, place.toOffset) });
  }
  return [...requests.values()];
}

export function isInLane(place: LaneKey, lane: LaneKey): boolean {
  return place.source === lane.source && place.partition === lane.partition;
}

/** Whether a row lies at the place. */
export function hasRows({ fromOffset, toOffset }: FoundReservation, { present }: LaneStanding): boolean {
  const tables: readonly BlockTable[] = ['logs', 'dead_letters'];
  return tables.some((table) =>
    present[table].offsets.some((offset) => offset >= fromOffset && offset < toOffset),
  );
}

/** Stores what is missing and the ledger row of the whole; then the lane is nobody's again. */
export async function storeAdopted(
  adoption: Adoption,
  body: ArrayBuffer,
  format: BodyFormat,
): Promise<IngestOutcome> {
  const { coordinator, standing, place, store, scope } = adoption;
  let lane: Lane | undefined;
  const source = new DirectSource({
    ...adoption,
    openLane: async (onLost) => {
      if (lane !== undefined) throw new MillraceError('lane_closed', 'The lane was taken over again.');
      lane = coordinator.openLane(
        { ...standing, name: 'http', startOffset: place.fromOffset, isAdopted: true, onLost },
        standing,
      );
      return lane;
    },
    reserve: async (_token, bodies) => bodies.map(({ toOffset }) => differentFraming(place, toOffset)),
  });
  try {
    await source.start();
    const outcome = await source.submit(body, format, { receivedMs: place.receivedMs, scope });
    const entry = outcome.kind === 'stored' ? lane?.ledgerEntry() : undefined;
    if (entry !== undefined) await store.insertLedger([entry]);
    return outcome;
  } finally {
    source.close();
    if (lane !== undefined && !lane.isClosed) coordinator.closeLane(lane);
  }
}

/** The same bytes give the same records, unless another version told them apart. */
function differentFraming(
  { toOffset: reserved }: FoundReservation,
  toOffset: number,
): MillraceError | undefined {
  if (toOffset === reserved) return undefined;
  return new MillraceError('internal', 'The body gives another number of records than when it came first.');
}
