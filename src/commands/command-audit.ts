/**
 * What commands write to the audit: the actor is the account of this machine that ran them.
 */
import { userInfo } from 'node:os';
import { type AuditAction, writeAudit } from '../api/audit/audit-log.ts';
import type { Store } from '../store/clickhouse-client.ts';

export interface Done {
  readonly action: AuditAction;
  readonly target: string;
  readonly detail: Readonly<Record<string, unknown>>;
}

export function commandActor(): string {
  return `command line: ${userInfo().username}`;
}

/** For what went through. */
export async function auditCommand(store: Store, done: Done): Promise<void> {
  await writeAudit(store, { ...done, actor: commandActor(), outcome: 'ok', address: '', requestId: '' });
}
