/**
 * The configuration file of the embedded ClickHouse: small memory, few threads, a log that rotates by size,
 * no query log, and an HTTP interface that answers only requests carrying the key.
 */

export interface ServerConfigOptions {
  /** Header that every request must carry, and its value: letters, digits and dashes only. */
  readonly keyHeader: string;
  readonly key: string;
  readonly logPath: string;
  readonly errorLogPath: string;
  /** Limit of `max_server_memory_usage` in bytes. */
  readonly memoryBytes: number;
}

const MIB = 1024 * 1024;
const MIN_MEMORY_BYTES = 1024 * MIB;
const MAX_MEMORY_BYTES = 4096 * MIB;
/**
 * With less room than this inserts and merges are refused before they begin (code 243). The embedded library takes no
 * notice of a write(2) that fails: on a disk that is full it acknowledges inserts, and ends merges, whose files are empty.
 */
export const KEEP_FREE_BYTES = 64 * MIB;

/** Memory the server may use on a machine with `totalBytes`: two fifths, at least 1 GiB, at most 4 GiB. */
export function serverMemoryBytes(totalBytes: number): number {
  return Math.round(Math.min(MAX_MEMORY_BYTES, Math.max(MIN_MEMORY_BYTES, totalBytes * 0.4)));
}

/** Settings whose defaults are meant for a large machine (the mark cache alone would be 5 GB). */
const SMALL_SERVER_SETTINGS = {
  mark_cache_size: 64 * MIB,
  index_mark_cache_size: 16 * MIB,
  primary_index_cache_size: 32 * MIB,
  uncompressed_cache_size: 0,
  index_uncompressed_cache_size: 0,
  query_condition_cache_size: 8 * MIB,
  compiled_expression_cache_size: 8 * MIB,
  text_index_tokens_cache_size: 16 * MIB,
  text_index_header_cache_size: 16 * MIB,
  text_index_postings_cache_size: 32 * MIB,
  vector_similarity_index_cache_size: MIB,
  background_pool_size: 2,
  background_common_pool_size: 2,
  background_schedule_pool_size: 2,
  // How soon a table with nothing to do looks again for merges and mutations: its first pause, which then grows, and
  // the random part. A deletion from a rollup waits for that (by default up to a second, measured: so 30 to 70 ms).
  background_processing_pool_thread_sleep_seconds_if_nothing_to_do: 0.01,
  background_processing_pool_task_sleep_seconds_when_no_work_random_part: 0.01,
  max_thread_pool_size: 256,
  max_thread_pool_free_size: 8,
  max_io_thread_pool_size: 16,
  max_concurrent_queries: 64,
  keep_alive_timeout: 30,
  // Merges take turns with inserts and queries on few cores; they yield when both want one.
  os_threads_nice_value_merge_mutate: 5,
} as const;

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

/** The whole file as XML. */
export function renderServerConfig(options: ServerConfigOptions): string {
  const settings = Object.entries({
    max_server_memory_usage: options.memoryBytes,
    ...SMALL_SERVER_SETTINGS,
  }).map(([name, value]) => `  <${name}>${value}</${name}>`);
  const keyCheck = `<headers><${options.keyHeader}>${options.key}</${options.keyHeader}></headers>`;
  return `<clickhouse>
${settings.join('\n')}
  <log-level>warning</log-level>
  <logger>
    <log>${escapeXml(options.logPath)}</log>
    <errorlog>${escapeXml(options.errorLogPath)}</errorlog>
    <size>16M</size>
    <count>2</count>
  </logger>
  <storage_configuration>
    <disks>
      <default><keep_free_space_bytes>${KEEP_FREE_BYTES}</keep_free_space_bytes></default>
    </disks>
  </storage_configuration>
  <http_handlers>
    <rule>
      <url>/ping</url><methods>GET</methods>${keyCheck}
      <handler><type>ping</type></handler>
    </rule>
    <rule>
      <methods>GET,POST</methods>${keyCheck}
      <handler><type>dynamic_query_handler</type><query_param_name>query</query_param_name></handler>
    </rule>
  </http_handlers>
</clickhouse>
`;
}
