/**
 * Which keys sign and verify tokens. The signing key is the one in the key file: it is replaced there when it is
 * old, or by a command, and taken up when the next token is issued. Its public half is published before it signs
 * and for as long as one of its tokens could be valid; keys that others published are accepted until they expire.
 */
import { errorMessage, MillraceError } from '../../errors.ts';
import type { QueryPort } from '../../pipeline/query-port.ts';
import type { Telemetry } from '../../telemetry.ts';
import { AskedKeys } from './asked-keys.ts';
import { KeptRead } from './kept-read.ts';
import { type ApiKeys, readSigningKey, replaceSigningKey, type SigningKey } from './key-files.ts';
import { type PublishedKey, publishKey, readPublicKeys } from './public-keys.ts';
import { RecentSet } from './recent-set.ts';
import { REFRESH_TOKEN_SECONDS } from './token-lifetimes.ts';
import type { VerifyingKey } from './verifying-key.ts';

export interface KeyRingPorts {
  readonly store: QueryPort;
  readonly keys: ApiKeys;
  readonly telemetry: Telemetry;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Age at which the signing key is replaced. */
  readonly rotationMs: number;
}

const DAY_MS = 86_400_000;
/** What a published key must still have before it signs; a day more than its tokens, for clocks that differ. */
const MIN_LEASE_MS = REFRESH_TOKEN_SECONDS * 1000 + DAY_MS;
const LEASE_MS = MIN_LEASE_MS + 2 * DAY_MS;
const RENEW_BELOW_MS = MIN_LEASE_MS + DAY_MS;
const REFRESH_AFTER_MS = 30_000;
const MAX_AGE_MS = 60_000;
const MAX_OWN_KEYS = 16;
const KEY_ID = /^[\w-]{43}$/;

interface Lease {
  readonly id: string;
  readonly untilMs: number;
}

/** Holds its own key and what `readPublicKeys` gives, which is bounded. */
export class KeyRing {
  readonly #ports: KeyRingPorts;
  readonly #published: KeptRead<ReadonlyMap<string, PublishedKey>>;
  readonly #asked = new AskedKeys();
  /** Ids of keys that were in this program's key file. */
  readonly #own = new RecentSet(MAX_OWN_KEYS);
  #current: SigningKey;
  #lease: Lease = { id: '', untilMs: 0 };
  #leasing: { readonly id: string; readonly done: Promise<void> } | undefined;

  constructor(ports: KeyRingPorts) {
    this.#ports = ports;
    this.#current = ports.keys.signing;
    this.#own.add(this.#current.id);
    this.#published = new KeptRead({
      read: (signal) => {
        this.#takeUpFile();
        return this.#readPublished(signal);
      },
      onFailure: (error) => this.#report(error),
      now: ports.now,
      refreshAfterMs: REFRESH_AFTER_MS,
      maxAgeMs: MAX_AGE_MS,
    });
  }

  /** The key to sign with now, which every program can find. Rejects when it cannot be published. */
  async signingKey(): Promise<SigningKey> {
    this.#takeUpFile();
    const key = this.#current;
    const leftMs = await this.#leftMs(key.id);
    if (leftMs >= RENEW_BELOW_MS) return key;
    try {
      await this.#renewLease(key);
    } catch (error) {
      if (leftMs < MIN_LEASE_MS) throw error;
      this.#report(error);
    }
    return key;
  }

  /** The key of that id, asked for once more when it is not known. Rejects when that cannot be told now. */
  async find(id: string): Promise<VerifyingKey | undefined> {
    if (!KEY_ID.test(id)) return undefined;
    const known = await this.#lookUp(id);
    if (known !== undefined) return known;
    if (!this.#asked.ask(id)) {
      throw new MillraceError('store_unavailable', 'Too many unknown keys are looked up at the moment.');
    }
    await this.#published.renew();
    return await this.#lookUp(id);
  }

  /** Whether the key is or was in this program's own key file. */
  isOwn(id: string): boolean {
    return this.#own.has(id);
  }

  /** All keys whose tokens are accepted. */
  async all(): Promise<VerifyingKey[]> {
    const published = [...((await this.#published.get()) ?? new Map<string, PublishedKey>()).values()];
    const others = published.filter(
      ({ key, expiresMs }) => this.#isGood(expiresMs) && !this.#isCurrent(key.id),
    );
    return [this.#current, ...others.map(({ key }) => key)];
  }

  async #lookUp(id: string): Promise<VerifyingKey | undefined> {
    // First, since reading them takes up the key file too.
    const published = (await this.#published.get())?.get(id);
    if (this.#isCurrent(id)) return this.#current;
    this.#asked.use(id);
    return published !== undefined && this.#isGood(published.expiresMs) ? published.key : undefined;
  }

  async #readPublished(signal: AbortSignal): Promise<ReadonlyMap<string, PublishedKey>> {
    const { store, now } = this.#ports;
    const asked = this.#asked.all();
    const published = await readPublicKeys(store, { nowMs: now(), asked, signal });
    this.#asked.settle(asked, published);
    return published;
  }

  #isCurrent(id: string): boolean {
    return id === this.#current.id;
  }

  #isGood(expiresMs: number): boolean {
    return expiresMs > this.#ports.now();
  }

  /** How long the key is published for, by what this or an earlier program wrote. */
  async #leftMs(id: string): Promise<number> {
    const leasedMs = this.#lease.id === id ? this.#lease.untilMs : 0;
    const publishedMs = (await this.#published.get())?.get(id)?.expiresMs ?? 0;
    return Math.max(leasedMs, publishedMs) - this.#ports.now();
  }

  /** Rejects when it cannot be written. Whoever needs the same key at the same time waits for the same write. */
  async #renewLease(key: SigningKey): Promise<void> {
    if (this.#leasing?.id !== key.id) this.#leasing = { id: key.id, done: this.#publish(key) };
    const leasing = this.#leasing;
    try {
      await leasing.done;
    } finally {
      if (this.#leasing === leasing) this.#leasing = undefined;
    }
  }

  async #publish(key: SigningKey): Promise<void> {
    const nowMs = this.#ports.now();
    await publishKey(this.#ports.store, key, { nowMs, expiresMs: nowMs + LEASE_MS });
    this.#lease = { id: key.id, untilMs: nowMs + LEASE_MS };
  }

  /** Signs with what is in the key file from now on; replaces it when it is old. Keeps the key when that fails. */
  #takeUpFile(): void {
    const { keys, now, rotationMs, telemetry } = this.#ports;
    try {
      const found = readSigningKey(keys.directory);
      const isOld = now() - found.madeMs >= rotationMs;
      const key = isOld ? replaceSigningKey(keys.directory, now()) : found;
      if (this.#isCurrent(key.id)) return;
      this.#current = key;
      this.#own.add(key.id);
      telemetry.emit('signing_key_replaced', { id: key.id });
    } catch (error) {
      this.#report(error);
    }
  }

  #report(error: unknown): void {
    this.#ports.telemetry.emit('signing_keys_unreadable', { error: errorMessage(error) });
  }
}
