/**
 * Bodies with an Idempotency-Key are stored once, however often they are sent, to whichever instance, and whoever
 * dies in between (docs/decisions/008-idempotency-keys.md). Bodies without one pass by.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { MillraceError, toMillraceError } from '../errors.ts';
import { type BodyPorts, claimsFor, hasRows, isInLane, storeAdopted } from './adopted-body.ts';
import { DirectSource, type DirectSourcePorts } from './direct-source.ts';
import type { FoundReservation, IdempotencyStore, KeyRecord, StoredOutcome } from './idempotency-port.ts';
import type { IngestKey, IngestOptions, IngestOutcome, IngestPort } from './ingest-port.ts';
import { KeyCompletions } from './key-completions.ts';
import type { Lane } from './lane.ts';
import type { OpenBody } from './open-body.ts';
import type { BodyFormat } from './parse-protocol.ts';
import type { BlockStore, LaneOwnership, LaneToken } from './ports.ts';

export interface KeyedIngestPorts extends BodyPorts {
  /** Takes the bodies without a key. */
  readonly plain: DirectSource;
  /** Opens the lane of the keyed bodies when the first of them comes. */
  readonly openLane: DirectSourcePorts['openLane'];
  readonly keys: IdempotencyStore;
  readonly ownership: LaneOwnership;
  readonly store: Pick<BlockStore, 'insertLedger'>;
  /** Age at which a body that another start has not finished is taken over; 0 where no other can be alive. */
  readonly takeOverAfterMs: number;
}

interface KeyedBody {
  readonly body: ArrayBuffer;
  readonly format: BodyFormat;
  readonly key: IngestKey;
  readonly scope: IngestOptions['scope'];
}

interface BodyUnderWay {
  readonly bodyDigest: string;
  readonly outcome: Promise<IngestOutcome>;
}

/** How long a body waits for the same one under way here, before it is answered with 409. */
const FOLLOW_MS = 10_000;
/** Bodies that may wait while another one is taken over. */
const MAX_WAITING = 64;

/** Modes: `open` and `closed`. `#underWay` holds the keys in hand, bounded like the bodies themselves by the API's budget. */
export class KeyedIngest implements IngestPort {
  readonly #ports: KeyedIngestPorts;
  readonly #underWay = new Map<string, BodyUnderWay>();
  readonly #completions: KeyCompletions;
  #source: Promise<DirectSource> | undefined;
  /** The lane that keyed bodies go to now. */
  #lane: Lane | undefined;
  #lastTakeOver: Promise<unknown> = Promise.resolve();
  #takeOverCount = 0;
  #isClosed = false;

  constructor(ports: KeyedIngestPorts) {
    this.#ports = ports;
    this.#completions = new KeyCompletions(ports.keys);
  }

  /** Bodies accepted and not yet answered. */
  get inFlightCount(): number {
    return this.#ports.plain.inFlightCount + this.#underWay.size;
  }

  async submit(
    body: ArrayBuffer,
    format: BodyFormat,
    { key, scope }: IngestOptions = {},
  ): Promise<IngestOutcome> {
    if (key === undefined) return await this.#ports.plain.submit(body, format, { scope });
    const first = this.#underWay.get(key.digest);
    if (first !== undefined) return await follow(first, key);
    const outcome = this.#serve({ body, format, key, scope })
      .catch((error: unknown) => failure(toMillraceError(error)))
      .finally(() => this.#underWay.delete(key.digest));
    this.#underWay.set(key.digest, { bodyDigest: key.bodyDigest, outcome });
    return await outcome;
  }

  close(): void {
    this.#isClosed = true;
    this.#ports.plain.close();
    this.#completions.close();
    void this.#source?.then((source) => source.close()).catch(() => undefined);
  }

  async #serve(posted: KeyedBody): Promise<IngestOutcome> {
    const refusal = this.#ports.refusal();
    if (refusal !== undefined) return failure(refusal);
    const record = await this.#ports.keys.read(posted.key.digest);
    const known = knownOutcome(record, posted.key);
    if (known !== undefined) return known;
    const others = await this.#withdrawOwn(record.reservations, posted.key);
    return others.length > 0 ? await this.#takeOver(others, posted) : await this.#store(posted);
  }

  /**
   * Places in the present lane: the body is not under way here, so nothing was sent of it and nothing will be. That this
   * is still so when it is written down, the lane's token says.
   */
  async #withdrawOwn(
    found: readonly FoundReservation[],
    key: IngestKey,
  ): Promise<readonly FoundReservation[]> {
    const lane = this.#lane;
    const own =
      lane === undefined || lane.isClosed ? [] : found.filter((place) => isInLane(place, lane.spec));
    if (lane === undefined || own.length === 0) return found;
    await this.#ports.keys.withdraw(own.map((place) => ({ ...place, key, token: lane.token })));
    return found.filter((place) => !own.includes(place));
  }

  async #store({ body, format, key, scope }: KeyedBody): Promise<IngestOutcome> {
    this.#source ??= this.#open();
    const source = await this.#source.catch((error: unknown) => {
      this.#source = undefined;
      throw error;
    });
    return await this.#complete(key, await source.submit(body, format, { key, scope }));
  }

  async #open(): Promise<DirectSource> {
    const { openLane } = this.#ports;
    const source = new DirectSource({
      ...this.#ports,
      openLane: async (onLost) => {
        this.#lane = await openLane(onLost);
        return this.#lane;
      },
      reserve: (token, bodies) => this.#reserve(token, bodies),
    });
    await source.start();
    if (this.#isClosed) source.close();
    return source;
  }

  async #reserve(
    token: LaneToken,
    bodies: readonly OpenBody[],
  ): Promise<readonly (MillraceError | undefined)[]> {
    const reservations = bodies.flatMap(({ key, fromOffset, toOffset, receivedMs }) =>
      key === undefined ? [] : [{ token, key, fromOffset, toOffset, receivedMs }],
    );
    const stands = await this.#ports.keys.reserve(reservations);
    return stands.map((isOnly) => (isOnly ? undefined : inProgress()));
  }

  /** One at a time: two claims of one lane would cut each other off. */
  async #takeOver(found: readonly FoundReservation[], posted: KeyedBody): Promise<IngestOutcome> {
    const { takeOverAfterMs } = this.#ports;
    if (found.every(({ bodyDigest }) => bodyDigest !== posted.key.bodyDigest)) return failure(reused());
    if (found.some(({ ageMs }) => ageMs < takeOverAfterMs)) return failure(inProgress());
    if (this.#takeOverCount >= MAX_WAITING) return failure(inProgress());
    this.#takeOverCount++;
    const turn = this.#lastTakeOver.then(() => this.#adopt(found, posted));
    this.#lastTakeOver = turn.catch(() => undefined);
    try {
      return await this.#complete(posted.key, await turn);
    } finally {
      this.#takeOverCount--;
    }
  }

  /**
   * After the claim nobody else can write at any of the places. The one that has rows is where the body went; without
   * rows anywhere it is free, and whoever comes after finds the same.
   */
  async #adopt(found: readonly FoundReservation[], posted: KeyedBody): Promise<IngestOutcome> {
    const { body, format, key, scope } = posted;
    const { keys, ownership } = this.#ports;
    const refusal = this.#ports.refusal();
    if (refusal !== undefined) return failure(refusal);
    const standings = await ownership.claim(claimsFor(found));
    const record = await keys.read(key.digest);
    const known = knownOutcome(record, key);
    if (known !== undefined) return known;
    const places = record.reservations.flatMap((place) => {
      const standing = standings.find((one) => one !== undefined && isInLane(place, one));
      return standing === undefined ? [] : [{ place, standing }];
    });
    const chosen = places.find(({ place, standing }) => hasRows(place, standing)) ?? places[0];
    // Somebody was faster: with another place, or by withdrawing these.
    if (chosen === undefined || places.length < record.reservations.length) return failure(inProgress());
    if (chosen.place.bodyDigest !== key.bodyDigest) return failure(reused());
    return await storeAdopted({ ...this.#ports, ...chosen, scope }, body, format);
  }

  /** The outcome is given only when it is written down: the next request with the key must find it. */
  async #complete(key: IngestKey, outcome: IngestOutcome): Promise<IngestOutcome> {
    if (outcome.kind === 'stored' && outcome.isReplayed !== true)
      await this.#completions.write({ key, outcome });
    return outcome;
  }
}

async function follow({ bodyDigest, outcome }: BodyUnderWay, key: IngestKey): Promise<IngestOutcome> {
  if (bodyDigest !== key.bodyDigest) return failure(reused());
  const over = new AbortController();
  const late = delay(FOLLOW_MS, failure(inProgress()), { signal: over.signal });
  try {
    const first = await Promise.race([outcome, late]);
    return first.kind === 'stored' ? replayed(first) : first;
  } finally {
    over.abort();
    late.catch(() => undefined);
  }
}

/** What is answered when the body was done with before. */
function knownOutcome({ completed }: KeyRecord, key: IngestKey): IngestOutcome | undefined {
  if (completed === undefined) return undefined;
  return completed.bodyDigest === key.bodyDigest ? replayed(completed.outcome) : failure(reused());
}

function replayed(outcome: StoredOutcome): IngestOutcome {
  return { ...outcome, isReplayed: true };
}

function reused(): MillraceError {
  return new MillraceError('idempotency_key_reused', 'The Idempotency-Key came with another body before.');
}

function inProgress(): MillraceError {
  return new MillraceError(
    'request_in_progress',
    'A request with this Idempotency-Key is under way, or was cut off a moment ago: ask again.',
  );
}

function failure({ code, message }: MillraceError): IngestOutcome {
  return { kind: 'failed', code, message };
}
