/**
 * The security extraction for events that came as JSON: reads back the message and process that the row holds.
 */
import type { EventBlock } from '../../encode/event-block.ts';
import { IpField, TextField } from '../../encode/event-row.ts';
import { extractSecurity } from './security.ts';

/**
 * Messages of the programs in question are short. A longer one is not read at all: its beginning alone would let
 * a hostile user name stand where the peer's address is expected.
 */
const MAX_MESSAGE_BYTES = 4096;
const MAX_PROCESS_BYTES = 256;

/** The message, then the process: apart from the columns, which the extraction may make grow. */
const scratch = new Uint8Array(MAX_MESSAGE_BYTES + MAX_PROCESS_BYTES);
const messageScratch = scratch.subarray(0, MAX_MESSAGE_BYTES);

/** Sets user, peer and outcome of the open row where they are unset and its process is one that lets people in. */
export function extractSecurityOf(row: EventBlock): void {
  if (!row.hasText(TextField.process) || (row.hasText(TextField.user) && row.hasIp(IpField.source))) return;
  const { message, process } = row.columns;
  const messageEnd = message.copyNewest(row.rowCount, messageScratch, 0);
  if (messageEnd <= 0) return;
  const processEnd = process.copyRow(row.rowCount, scratch, messageEnd);
  if (processEnd < 0) return;
  extractSecurity(row, scratch, 0, messageEnd, messageEnd, processEnd);
}
