/**
 * Every internal event of the program, defined once: its log level, its text and its counter.
 * Code emits by name (`telemetry.emit('insert_failed', {table})`); what implements the port logs and counts.
 * Emit per batch, never per record.
 */

export type TelemetryLevel = 'debug' | 'info' | 'warn' | 'error';

interface InternalEvent {
  readonly level: TelemetryLevel;
  readonly text: string;
  /** Prometheus counter `millrace_<noun>_<unit>_total`; absent: the event is only logged. */
  readonly counter?: string;
  /** Fields that become labels of the counter. Closed lists only. */
  readonly labels?: readonly string[];
}

export const INTERNAL_EVENTS = {
  started: { level: 'info', text: 'Millrace started' },
  failpoints_armed: {
    level: 'warn',
    text: 'FAILPOINTS is set: this program will fail on purpose; only tests may do that',
  },
  stopping: { level: 'info', text: 'stopping: draining what is in flight' },
  stopped: { level: 'info', text: 'stopped' },
  store_started: { level: 'info', text: 'ClickHouse is ready' },
  store_exited: {
    level: 'error',
    text: 'embedded ClickHouse exited; it will be restarted',
    counter: 'millrace_store_exits_total',
  },
  store_crash_loop: {
    level: 'error',
    text: 'embedded ClickHouse exits again and again; see the reason and log/clickhouse.errors.log in DATA_DIR',
    counter: 'millrace_store_crash_loops_total',
  },
  index_unreadable: {
    level: 'error',
    text: 'ClickHouse cannot read an index of a part; its rows are read without, and its partition is to be written anew',
    counter: 'millrace_store_unreadable_indexes_total',
  },
  index_repair_failed: {
    level: 'error',
    text: 'a partition with an unreadable index was not written anew in time; tried again when it is met next',
  },
  merges_stopped: {
    level: 'warn',
    text: 'disk is nearly full; ClickHouse does not merge until there is room',
  },
  merges_resumed: { level: 'info', text: 'ClickHouse merges again' },
  part_unreadable: {
    level: 'error',
    text: 'ClickHouse cannot read a part; with hasSources, a restart of it brings back those that it was merged from',
    counter: 'millrace_store_unreadable_parts_total',
  },
  parts_put_aside: {
    level: 'error',
    text: 'ClickHouse put parts aside that it could not read (system.detached_parts); rows that it had merged lately are back',
  },
  merge_guard_failed: { level: 'warn', text: 'merges could not be stopped or started; tried again' },
  part_check_failed: { level: 'warn', text: 'parts could not be read over' },
  migration_applied: { level: 'info', text: 'migration applied' },
  http_fallback: { level: 'warn', text: 'uWebSockets.js could not be loaded; node:http serves the API' },
  http_listening: { level: 'info', text: 'HTTP API is listening' },
  connections_refused: {
    level: 'warn',
    text: 'HTTP connections were closed: HTTP_MAX_CONNECTIONS of them are open',
    counter: 'millrace_http_refused_connections_total',
  },
  requests_limited: {
    level: 'debug',
    text: 'HTTP requests were refused with 429: a limit was used up',
    counter: 'millrace_http_limited_requests_total',
  },
  request_failed: {
    level: 'error',
    text: 'HTTP request failed inside',
    counter: 'millrace_http_failures_total',
    labels: ['code'],
  },
  login_failed: { level: 'warn', text: 'login failed', counter: 'millrace_login_failures_total' },
  refresh_token_reused: {
    level: 'warn',
    text: 'a refresh token was used twice; its session was ended',
    counter: 'millrace_reused_refresh_tokens_total',
  },
  signing_key_replaced: { level: 'info', text: 'tokens are signed with another key from now on' },
  signing_keys_unreadable: {
    level: 'warn',
    text: 'keys of tokens cannot be read or published; those known so far stay in use',
    counter: 'millrace_signing_key_failures_total',
  },
  sessions_unreadable: {
    level: 'warn',
    text: 'ended sessions cannot be read; tokens are judged by what was read last',
    counter: 'millrace_sessions_read_failures_total',
  },
  login_addresses_unavailable: {
    level: 'warn',
    text: 'addresses of earlier logins cannot be read or written; what was read last counts',
    counter: 'millrace_login_address_failures_total',
  },
  tail_unreadable: {
    level: 'warn',
    text: 'new logs cannot be read for live tails; they are read when that works again',
    counter: 'millrace_tail_failures_total',
  },
  users_unreadable: {
    level: 'warn',
    text: 'users cannot be read; tokens are judged by what was read last',
    counter: 'millrace_users_read_failures_total',
  },
  keys_unreadable: {
    level: 'warn',
    text: 'API keys cannot be read, or their last use written; requests are judged by what was read last',
    counter: 'millrace_keys_read_failures_total',
  },
  records_out_of_scope: {
    level: 'debug',
    text: 'posted records were rejected: they are outside the scope of who posted them',
    counter: 'millrace_records_out_of_scope_total',
  },
  audit_unwritable: {
    level: 'warn',
    text: 'the audit cannot be written; trying again',
    counter: 'millrace_audit_write_failures_total',
  },
  audit_lost: {
    level: 'error',
    text: 'rows of the audit were lost: too many waited, or the program ended',
    counter: 'millrace_audit_lost_total',
  },
  kafka_assigned: {
    level: 'info',
    text: 'Kafka partitions assigned',
    counter: 'millrace_kafka_assignments_total',
  },
  kafka_connected: { level: 'info', text: 'connected to Kafka' },
  kafka_topics_created: { level: 'info', text: 'Kafka topics were missing and have been created' },
  kafka_unreachable: {
    level: 'warn',
    text: 'Kafka cannot be reached; trying again',
    counter: 'millrace_kafka_connect_failures_total',
  },
  kafka_client_problem: {
    level: 'warn',
    text: 'the Kafka client reports a problem',
    counter: 'millrace_kafka_client_problems_total',
  },
  records_lost_upstream: {
    level: 'error',
    text: 'Kafka had deleted records before they were read',
    counter: 'millrace_lost_upstream_records_total',
  },
  kafka_crashed: {
    level: 'error',
    text: 'Kafka consumer crashed; it will be created again',
    counter: 'millrace_kafka_crashes_total',
  },
  kafka_rejoins: {
    level: 'info',
    text: 'the Kafka consumer leaves its group and joins anew',
    counter: 'millrace_kafka_rejoins_total',
  },
  dead_members_left: {
    level: 'info',
    text: 'left the Kafka group in the name of members that were killed on this host',
    counter: 'millrace_dead_members_left_total',
  },
  member_note_failed: {
    level: 'warn',
    text: 'notes of Kafka members could not be kept or used; a killed program may be waited for',
    counter: 'millrace_member_note_failures_total',
  },
  assignment_waits: { level: 'warn', text: 'the Kafka assignment waits for ClickHouse' },
  sources_scarce: {
    level: 'warn',
    text: 'most source numbers are given away, one to each topic, also to one made again; without one a topic is not read',
  },
  offsets_committed: { level: 'debug', text: 'offsets committed', counter: 'millrace_offset_commits_total' },
  commit_failed: {
    level: 'warn',
    text: 'offset commit failed',
    counter: 'millrace_offset_commit_failures_total',
  },
  records_received: {
    level: 'debug',
    text: 'records parsed',
    counter: 'millrace_received_records_total',
  },
  records_stored: { level: 'debug', text: 'records stored', counter: 'millrace_stored_records_total' },
  records_already_present: {
    level: 'debug',
    text: 'records were stored already',
    counter: 'millrace_already_present_records_total',
  },
  records_filtered: {
    level: 'debug',
    text: 'records filtered',
    counter: 'millrace_filtered_records_total',
    labels: ['reason'],
  },
  records_dead_lettered: {
    level: 'warn',
    text: 'records could not become events',
    counter: 'millrace_dead_lettered_records_total',
    labels: ['reason'],
  },
  slow_path: {
    level: 'debug',
    text: 'records took the slow path',
    counter: 'millrace_slow_path_records_total',
  },
  insert_done: { level: 'debug', text: 'insert done', counter: 'millrace_inserts_total', labels: ['table'] },
  insert_failed: {
    level: 'warn',
    text: 'insert failed; its lanes are claimed anew and only what is missing is stored',
    counter: 'millrace_insert_failures_total',
    labels: ['table'],
  },
  insert_refused: {
    level: 'warn',
    text: 'ClickHouse refused rows; they are sent alone, then in halves',
    counter: 'millrace_insert_refusals_total',
  },
  lanes_claimed: {
    level: 'info',
    text: 'lanes were taken over',
    counter: 'millrace_lane_claims_total',
  },
  claim_failed: {
    level: 'warn',
    text: 'lanes could not be claimed; tried again',
    counter: 'millrace_lane_claim_failures_total',
  },
  rollups_left: {
    level: 'warn',
    text: 'minutes or hours of rollups differ from the rows they are made of, but some of those may have expired: left alone',
    counter: 'millrace_rollups_left_buckets_total',
  },
  lane_lost: {
    level: 'warn',
    text: 'another process took a lane; nothing more of it is written here',
    counter: 'millrace_lost_lanes_total',
  },
  lanes_settled: {
    level: 'info',
    text: 'lanes of starts that have ended were settled',
    counter: 'millrace_settled_lanes_total',
  },
  settling_failed: {
    level: 'warn',
    text: 'lanes of starts that have ended could not be settled; tried again',
    counter: 'millrace_settling_failures_total',
  },
  worker_died: { level: 'error', text: 'a worker thread died', counter: 'millrace_worker_deaths_total' },
  disk_low: { level: 'error', text: 'disk is nearly full; ingestion waits' },
  disk_check_failed: { level: 'debug', text: 'free disk space could not be read' },
  disk_recovered: { level: 'info', text: 'disk has room again; ingestion goes on' },
} as const satisfies Record<string, InternalEvent>;

export type InternalEventName = keyof typeof INTERNAL_EVENTS;

export type TelemetryFields = Readonly<Record<string, string | number | boolean>>;

/** Port through which everything reports; the only way to log outside the commands. */
export interface Telemetry {
  /** Logs the event and adds `amount` (default 1) to its counter. Never throws. */
  emit(event: InternalEventName, fields?: TelemetryFields, amount?: number): void;
}
