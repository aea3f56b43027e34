/**
 * One event in the making: what goes over the wire, and the fields that storage should hold of it.
 * The generator owns one draft and hands it from builder to builder; nothing keeps it.
 */

export const EVENT_KINDS = ['logs', 'system-metrics', 'threat-logs', 'security-events'] as const;
export type EventKind = (typeof EVENT_KINDS)[number];

/**
 * The fields the checksum covers, as text, empty where the event has none. Text forms are those of ClickHouse:
 * numbers have at most two decimals, so that both sides print them alike.
 */
export interface StoredFields {
  seq: number;
  /** Whole microseconds since the epoch; whole seconds where the form has no finer time. */
  timestampUs: number;
  host: string;
  service: string;
  level: string;
  message: string;
  user: string;
  process: string;
  sourceIp: string;
  outcome: string;
  cpuUsage: string;
  memoryUsed: string;
  memoryTotal: string;
  memoryPercentage: string;
  networkRxBytes: string;
  networkTxBytes: string;
  /** Names in order, separated by commas. */
  threats: string;
}

export interface Draft extends StoredFields {
  /** The record's value: a JSON object or a line of text. */
  value: string;
  isText: boolean;
}

export function createDraft(): Draft {
  return {
    seq: 0,
    timestampUs: 0,
    host: '',
    service: '',
    level: '',
    message: '',
    user: '',
    process: '',
    sourceIp: '',
    outcome: '',
    cpuUsage: '',
    memoryUsed: '',
    memoryTotal: '',
    memoryPercentage: '',
    networkRxBytes: '',
    networkTxBytes: '',
    threats: '',
    value: '',
    isText: false,
  };
}

export function resetDraft(draft: Draft, seq: number, timestampUs: number): void {
  draft.seq = seq;
  draft.timestampUs = timestampUs;
  draft.host = '';
  draft.service = '';
  draft.level = '';
  draft.message = '';
  draft.user = '';
  draft.process = '';
  draft.sourceIp = '';
  draft.outcome = '';
  draft.cpuUsage = '';
  draft.memoryUsed = '';
  draft.memoryTotal = '';
  draft.memoryPercentage = '';
  draft.networkRxBytes = '';
  draft.networkTxBytes = '';
  draft.threats = '';
  draft.value = '';
  draft.isText = false;
}
