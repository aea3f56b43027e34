/**
 * Who is asking with an API key: by the keys as read last, so that a revoked key ends within seconds everywhere and
 * requests do not query for themselves.
 */
import { errorMessage } from '../../errors.ts';
import type { Telemetry } from '../../telemetry.ts';
import { FreshRows } from '../auth/fresh-rows.ts';
import type { Principal } from '../route.ts';
import type { ApiKey, ApiKeyTable } from './api-keys.ts';
import { isKeyText, keyIdOf } from './key-text.ts';

export interface CurrentKeysPorts {
  readonly keys: Pick<ApiKeyTable, 'listActive' | 'writeUses'>;
  readonly telemetry: Telemetry;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** A key that is not known here may be new, or made up by somebody who tries; how often that is looked up. */
const UNKNOWN_GAP_MS = 1000;
/** How often the use of one key is written down. */
const USE_EVERY_MS = 60_000;
/** Uses of all keys that are written together. */
const USE_DELAY_MS = 2000;
/** Actors of the audit: no user can have such a name. */
const PREFIX = 'key:';

/** Whether a principal of this name is a key. */
export function isKeyName(username: string): boolean {
  return username.startsWith(PREFIX);
}

/** `#uses` holds one entry for each key that may be used. */
export class CurrentKeys {
  readonly #ports: CurrentKeysPorts;
  readonly #rows: FreshRows<ApiKey>;
  /** Id → when its use was written last. */
  #uses = new Map<string, number>();
  #unwritten = new Map<string, number>();

  constructor(ports: CurrentKeysPorts) {
    this.#ports = ports;
    const { keys, telemetry, now } = ports;
    this.#rows = new FreshRows({
      read: async (signal) => {
        const rows = new Map((await keys.listActive({ signal })).map((key) => [key.id, key]));
        this.#uses = new Map([...this.#uses].filter(([id]) => rows.has(id)));
        return rows;
      },
      onFailure: (error) => telemetry.emit('keys_unreadable', { error: errorMessage(error) }),
      now,
    });
  }

  /** A key that was made or changed here. */
  learn(key: ApiKey): void {
    this.#rows.learn(key.id, key);
  }

  /** Undefined for what is no key, or none any more; rejects with `store_unavailable` when nobody knows. */
  async principalOf(text: string): Promise<Principal | undefined> {
    const id = keyIdOf(text);
    if (id === undefined) return undefined;
    const key = (await this.#rows.get(id)) ?? (await this.#rows.getAnew(id, UNKNOWN_GAP_MS));
    if (key === undefined || !isKeyText(text, key.hash) || key.isRevoked) return undefined;
    const nowMs = this.#ports.now();
    if (key.expiresMs !== undefined && key.expiresMs <= nowMs) return undefined;
    this.#noteUse(id, nowMs);
    const username = PREFIX + id;
    return { username, role: key.role, scope: key.scope, sessionId: username };
  }

  #noteUse(id: string, nowMs: number): void {
    if (nowMs - (this.#uses.get(id) ?? 0) < USE_EVERY_MS) return;
    this.#uses.set(id, nowMs);
    if (this.#unwritten.size === 0) setTimeout(() => void this.#writeUses(), USE_DELAY_MS).unref();
    this.#unwritten.set(id, nowMs);
  }

  /** What cannot be written is lost: the next minute's use is as good. */
  async #writeUses(): Promise<void> {
    const uses = this.#unwritten;
    this.#unwritten = new Map();
    try {
      await this.#ports.keys.writeUses(uses);
    } catch (error) {
      this.#ports.telemetry.emit('keys_unreadable', { error: errorMessage(error) });
    }
  }
}
