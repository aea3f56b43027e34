/**
 * What commands write to the audit: the actor is the account of this machine that ran them.
 */
import { userInfo } from 'node:os';
import { type AuditAction, writeAudit } from '../api/audit/audit-log.ts';
import { errorMessage } from '../errors.ts';
import type { QueryPort } from '../pipeline/query-port.ts';
import { writeNote } from './output.ts';

export interface Done {
  readonly action: AuditAction;
  readonly target: string;
  readonly detail: Readonly<Record<string, unknown>>;
}

export function commandActor(): string {
  return `command line: ${userInfo().username}`;
}

/** For what went through, and so never rejects: what cannot be written is a warning. */
export async function auditCommand(store: Pick<QueryPort, 'insertJson'>, done: Done): Promise<void> {
  try {
    await writeAudit(store, { ...done, actor: commandActor(), outcome: 'ok', address: '', requestId: '' });
  } catch (error) {
    warnOfAudit(error);
  }
}

export function warnOfAudit(error: unknown): void {
  writeNote(`millrace: warning: It went through, but is not in the audit: ${errorMessage(error)}`);
}
