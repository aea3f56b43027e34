/**
 * Who did what: rows for table `audit`, written behind the requests. Never holds a secret: what a row says is chosen
 * field by field where the action is.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { errorMessage } from '../../errors.ts';
import type { QueryPort } from '../../pipeline/query-port.ts';
import type { Telemetry } from '../../telemetry.ts';
import { toSqlTime } from '../time-input.ts';

/** What is audited. */
export type AuditAction =
  | 'auth.login'
  | 'auth.logout'
  | 'auth.password'
  | 'auth.refresh_reuse'
  | 'user.create'
  | 'user.change'
  | 'user.remove'
  | 'key.create'
  | 'key.change'
  | 'key.revoke'
  | 'signing_key.rotate'
  | 'logs.export'
  | 'dead_letters.read'
  | 'dead_letters.redrive';

type AuditOutcome = 'ok' | 'denied' | 'failed';

/** What a handler may say of its request while it runs; the front completes it and hands it over. */
export interface AuditDraft {
  /** Undefined: the request is not audited. */
  action: AuditAction | undefined;
  /** Who asked; empty while nobody is known. */
  actor: string;
  /** What the action is about: a name or an id. */
  target: string;
  /** Small facts, no secrets. */
  detail: Readonly<Record<string, unknown>>;
}

export interface AuditEntry extends AuditDraft {
  readonly action: AuditAction;
  readonly outcome: AuditOutcome;
  /** Of the client. */
  readonly address: string;
  readonly requestId: string;
}

interface AuditRow {
  readonly id: string;
  readonly at: string;
  readonly actor: string;
  readonly action: string;
  readonly target: string;
  readonly outcome: string;
  readonly address: string;
  readonly request_id: string;
  readonly detail: string;
}

export interface AuditPorts {
  readonly store: Pick<QueryPort, 'insertJson'>;
  readonly telemetry: Telemetry;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** With `MAX_TEXT` this bounds the memory of what waits to about 20 MB. */
const MAX_WAITING = 10_000;
const MAX_BATCH = 1000;
const MAX_TEXT = 256;
const MAX_DETAIL = 1000;
const FIRST_BACKOFF_MS = 500;
const MAX_BACKOFF_MS = 30_000;
const WRITE_TIMEOUT_MS = 10_000;
/** How long the program's end waits for what is not written. */
const CLOSE_MS = 3000;

/**
 * Modes: `idle`, `writing` (one insert under way, or a wait before its next attempt) and `closed`. What waits is bounded;
 * beyond it the newest rows are lost, which is counted.
 */
export class AuditLog {
  readonly #ports: AuditPorts;
  readonly #waiting: AuditRow[] = [];
  readonly #closing = new AbortController();
  #writing: Promise<void> | undefined;
  #lastUs = 0;

  constructor(ports: AuditPorts) {
    this.#ports = ports;
  }

  /** Rows that are not written yet. */
  get waitingCount(): number {
    return this.#waiting.length;
  }

  /** Never waits, never throws. */
  add(entry: AuditEntry): void {
    if (this.#waiting.length >= MAX_WAITING) {
      this.#ports.telemetry.emit('audit_lost', { action: entry.action });
      return;
    }
    // In the order in which they came, although the clock gives milliseconds.
    this.#lastUs = Math.max(this.#ports.now() * 1000, this.#lastUs + 1);
    this.#waiting.push(toAuditRow(entry, this.#lastUs));
    this.#writing ??= this.#write();
  }

  /** Tries once more to write what waits. What cannot be written is counted as lost. */
  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.race([this.#writing, delay(CLOSE_MS, undefined, { ref: false })]);
    const left = this.#waiting.splice(0);
    if (left.length > 0) this.#ports.telemetry.emit('audit_lost', { action: 'any' }, left.length);
  }

  async #write(): Promise<void> {
    for (let attempt = 0; this.#waiting.length > 0; ) {
      const batch = this.#waiting.slice(0, MAX_BATCH);
      const isLastTry = this.#closing.signal.aborted;
      try {
        const signal = AbortSignal.timeout(WRITE_TIMEOUT_MS);
        await this.#ports.store.insertJson('audit', batch, { signal });
        this.#waiting.splice(0, batch.length);
        attempt = 0;
      } catch (error) {
        this.#ports.telemetry.emit('audit_unwritable', { error: errorMessage(error) });
        if (isLastTry) break;
        const waitMs = Math.min(MAX_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** attempt++);
        await delay(waitMs, undefined, { signal: this.#closing.signal, ref: false }).catch(() => undefined);
      }
    }
    this.#writing = undefined;
  }
}

/** Writes one entry and waits for it: for commands, which end with what they do. */
export async function writeAudit(store: Pick<QueryPort, 'insertJson'>, entry: AuditEntry): Promise<void> {
  await store.insertJson('audit', [toAuditRow(entry, Date.now() * 1000)]);
}

function toAuditRow(entry: AuditEntry, atUs: number): AuditRow {
  const detail = JSON.stringify(entry.detail);
  return {
    id: randomUUID(),
    at: toSqlTime(atUs),
    actor: cut(entry.actor),
    action: entry.action,
    target: cut(entry.target),
    outcome: entry.outcome,
    address: cut(entry.address),
    request_id: cut(entry.requestId),
    detail: detail.length > MAX_DETAIL ? '{"cut":true}' : detail,
  };
}

function cut(text: string): string {
  return text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text;
}
