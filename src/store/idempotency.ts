/**
 * What is remembered of keyed bodies, in table `idempotency`: implements its port on the HTTP client. Rows are only
 * ever added. What concerns a place of a lane is guarded by the lane's token, as all writes of lanes are.
 */
import type {
  CompletedBody,
  FoundReservation,
  IdempotencyStore,
  KeyRecord,
  Reservation,
  StoredOutcome,
} from '../pipeline/idempotency-port.ts';
import type { Store } from './clickhouse-client.ts';
import { guardCondition, nextWriteId } from './lane-guard.ts';

interface KeyRow {
  readonly key: string;
  readonly body: string;
  readonly state: 'reserved' | 'withdrawn' | 'done';
  readonly source: number;
  readonly partition: number;
  readonly from_offset: number;
  readonly to_offset: number;
  readonly received_ms: number;
  readonly outcome: string;
  readonly age_ms: number;
}

const TIMEOUT_MS = 10_000;

const SELECT_KEYS = `
SELECT key, body, state, source, partition, from_offset, to_offset, received_ms, outcome,
    dateDiff('millisecond', created_at, now64(3)) AS age_ms
FROM idempotency
WHERE key IN {keys:Array(String)} AND created_at > now64(3) - INTERVAL 24 HOUR
ORDER BY created_at, source, partition, from_offset`;

const PLACE_COLUMNS = {
  key: 'String',
  body: 'String',
  state: 'String',
  source: 'UInt8',
  partition: 'UInt16',
  epoch: 'UInt64',
  from_offset: 'UInt64',
  to_offset: 'UInt64',
  received_ms: 'UInt64',
} as const;

/** `owner`: the same as that of the claims, so that a claim waits for what is being written here too. */
export function createIdempotencyStore(store: Store, owner: string): IdempotencyStore {
  const names = Object.keys(PLACE_COLUMNS).join(', ');
  const structure = Object.entries(PLACE_COLUMNS).map(([name, type]) => `${name} ${type}`);
  const statement = `INSERT INTO idempotency (${names}) SELECT ${names} FROM input('${structure.join(', ')}')
    WHERE ${guardCondition(store, 'epoch')} FORMAT JSONEachRow`;

  async function write(state: 'reserved' | 'withdrawn', reservations: readonly Reservation[]): Promise<void> {
    const rows = reservations.map((reservation) => JSON.stringify(toPlaceRow(state, reservation)));
    const bytes = new TextEncoder().encode(rows.join('\n'));
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    await store.insertBytes({ statement, queryId: nextWriteId(owner), signal }, [bytes.buffer]);
  }

  async function readRecords(keys: readonly string[]): Promise<Map<string, KeyRecord>> {
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const rows = await store.query<KeyRow>(SELECT_KEYS, { keys }, { signal });
    return new Map(keys.map((key) => [key, toRecord(rows.filter((row) => row.key === key))]));
  }

  return {
    async read(digest) {
      return (await readRecords([digest])).get(digest) ?? { reservations: [] };
    },
    async reserve(reservations) {
      await write('reserved', reservations);
      const records = await readRecords(reservations.map(({ key }) => key.digest));
      const stands = reservations.map((own) => {
        const record = records.get(own.key.digest);
        return (
          record?.completed === undefined &&
          record?.reservations.every((found) => isSamePlace(found, own)) === true
        );
      });
      const refused = reservations.filter((_, i) => stands[i] !== true);
      if (refused.length > 0) await write('withdrawn', refused);
      return stands;
    },
    withdraw: (reservations) => write('withdrawn', reservations),
    async complete(bodies) {
      const signal = AbortSignal.timeout(TIMEOUT_MS);
      await store.insertJson('idempotency', bodies.map(toDoneRow), { signal });
    },
  };
}

function toPlaceRow(state: 'reserved' | 'withdrawn', reservation: Reservation): object {
  const { token, key, fromOffset, toOffset, receivedMs } = reservation;
  return {
    key: key.digest,
    body: key.bodyDigest,
    state,
    ...token,
    from_offset: fromOffset,
    to_offset: toOffset,
    received_ms: receivedMs,
  };
}

function toDoneRow({ key, outcome }: CompletedBody): object {
  return { key: key.digest, body: key.bodyDigest, state: 'done', outcome: JSON.stringify(outcome) };
}

/** Rows of one key, the oldest first. */
function toRecord(rows: readonly KeyRow[]): KeyRecord {
  const withdrawn = new Set(rows.filter(({ state }) => state === 'withdrawn').map(placeName));
  const reservations = rows
    .filter((row) => row.state === 'reserved' && !withdrawn.has(placeName(row)))
    .map(toReservation);
  const done = rows.find(({ state }) => state === 'done');
  if (done === undefined) return { reservations };
  const outcome = JSON.parse(done.outcome) as StoredOutcome;
  return { reservations, completed: { bodyDigest: done.body, outcome } };
}

function toReservation(row: KeyRow): FoundReservation {
  return {
    source: row.source,
    partition: row.partition,
    fromOffset: row.from_offset,
    toOffset: row.to_offset,
    receivedMs: row.received_ms,
    bodyDigest: row.body,
    ageMs: row.age_ms,
  };
}

function placeName({ source, partition, from_offset: offset }: KeyRow): string {
  return `${source}/${partition}/${offset}`;
}

function isSamePlace(found: FoundReservation, { token, fromOffset }: Reservation): boolean {
  const { source, partition } = found;
  return source === token.source && partition === token.partition && found.fromOffset === fromOffset;
}
