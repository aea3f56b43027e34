/**
 * The one client of ClickHouse, embedded or external; only this file and selection.ts know @clickhouse/client.
 * Every setting that matters and whose default differs between versions is sent with each request.
 * All errors are MillraceErrors (store-errors.ts); nothing is retried here.
 */
import { Readable } from 'node:stream';
import { ClickHouseLogLevel, type ClickHouseSettings, createClient, parseError } from '@clickhouse/client';
import { MillraceError } from '../errors.ts';
import { toUnreadablePart, type UnreadablePart } from './index-repair.ts';
import { rowsOf } from './row-stream.ts';
import { type Selection, toSelection } from './selection.ts';
import { type Operation, toStoreError } from './store-errors.ts';

export interface StoreOptions {
  /** `http(s)://host:port`, may carry `user:password@`. */
  readonly url: string;
  readonly user?: string;
  readonly password?: string;
  readonly database: string;
  /** Sent with every request; the embedded server wants its key there. */
  readonly headers?: Readonly<Record<string, string>>;
  /** A request without any traffic for this long is given up, but no stream; default 120 s. */
  readonly requestTimeoutMs?: number;
  readonly maxConnections?: number;
}

export type Params = Readonly<Record<string, unknown>>;
type Settings = Readonly<Record<string, string | number>>;

export interface RequestOptions {
  readonly settings?: Settings;
  readonly queryId?: string;
  readonly signal?: AbortSignal;
}

export interface BytesInsert extends RequestOptions {
  /** A whole statement that ends in its format, such as `FORMAT Native`. */
  readonly statement: string;
  readonly params?: Params;
}

type Statement = { readonly query: string } & ReturnType<typeof request>;

type Execution = Statement & {
  readonly values?: Readable;
  readonly http_headers?: Record<string, string>;
};

const DEFAULT_TIMEOUT_MS = 120_000;
const DEFAULT_CONNECTIONS = 16;
/** The next row of a stream may be far, and its reader slow. */
const NO_TIMEOUT = 0;

/** For every request: the status line must tell the truth, so the answer is sent when its outcome is known. */
const COMMON_SETTINGS = {
  wait_end_of_query: 1,
  send_progress_in_http_headers: 0,
  output_format_json_quote_64bit_integers: 0,
  output_format_json_quote_denormals: 0,
  date_time_input_format: 'best_effort',
} as const satisfies ClickHouseSettings;

/** One insert is one part per partition, written before the answer, and not compared with earlier ones. */
const INSERT_SETTINGS = {
  async_insert: 0,
  insert_deduplicate: 0,
  max_insert_threads: '1',
  max_partitions_per_insert_block: '100',
  min_insert_block_size_rows: '1048576',
  min_insert_block_size_bytes: '268435456',
  materialized_views_ignore_errors: 0,
  optimize_on_insert: 1,
} as const satisfies ClickHouseSettings;

const EXCEPTION_IN_BODY = /(^|\n)(Code: \d+\. |__exception__)/;
const MAX_KEPT_BODY = 64 * 1024;

/**
 * Reads an answer to its end, as the socket demands. Once the head is sent, an exception can only follow in the body,
 * under status 200, and ClickHouse cuts the connection after it: what came before the cut says what happened.
 */
async function drain(stream: Readable): Promise<void> {
  let kept = '';
  let failure: unknown;
  try {
    for await (const chunk of stream) kept = (kept + String(chunk)).slice(-MAX_KEPT_BODY);
  } catch (error) {
    failure = error;
  }
  if (EXCEPTION_IN_BODY.test(kept)) failure = parseError(kept);
  if (failure !== undefined) throw failure;
}

/** Made by `createStore`. */
export class Store {
  readonly database: string;
  /**
   * Told of each part that a statement could not read. When it is a skip index of a part, and the statement reads, it
   * goes on without skip indexes.
   */
  onUnreadablePart: (part: UnreadablePart) => void = () => {};
  readonly #client: ReturnType<typeof createClient>;
  /** With connections of their own: they are held for as long as somebody reads. */
  readonly #streams: ReturnType<typeof createClient>;
  readonly #host: string;

  constructor(options: StoreOptions) {
    const url = parseUrl(options.url);
    this.#host = url.host;
    this.database = options.database;
    const { requestTimeoutMs = DEFAULT_TIMEOUT_MS } = options;
    this.#client = createHttpClient(url, options, requestTimeoutMs);
    this.#streams = createHttpClient(url, options, NO_TIMEOUT);
  }

  /** Rows as objects keyed by column. `sql` has no FORMAT clause; values go in as `{name:Type}` parameters. */
  async query<Row>(sql: string, params: Params = {}, options: RequestOptions = {}): Promise<Row[]> {
    const selection = await this.select<Row>(sql, params, options);
    return selection.rows;
  }

  /** Like `query`, with what ClickHouse read and how long it took. */
  async select<Row>(sql: string, params: Params = {}, options: RequestOptions = {}): Promise<Selection<Row>> {
    return await this.#select<Row>('JSON', { query: sql, ...request(params, options) });
  }

  /** Rows as arrays in the order of the columns: cheaper than objects when there are many. */
  async selectArrays<Row extends readonly unknown[]>(
    sql: string,
    params: Params = {},
    options: RequestOptions = {},
  ): Promise<Selection<Row>> {
    return await this.#select<Row>('JSONCompact', { query: sql, ...request(params, options) });
  }

  /** The answer as bytes. `sql` ends in its format, such as `FORMAT RowBinary`. */
  async selectBytes(sql: string, params: Params = {}, options: RequestOptions = {}): Promise<Buffer> {
    return await this.#read({ query: sql, ...request(params, options) }, async (statement) => {
      const { stream } = await this.#client.exec(statement);
      const chunks: Buffer[] = [];
      for await (const chunk of stream) chunks.push(chunk as Buffer);
      return Buffer.concat(chunks);
    });
  }

  /** Rows in chunks as they come, for results of any size. Leaving the loop early, or the signal, ends the request. */
  async *stream<Row>(sql: string, params: Params = {}, options: RequestOptions = {}): AsyncGenerator<Row[]> {
    const streaming = { ...options, settings: { ...options.settings, wait_end_of_query: 0 } };
    let statement: Statement = { query: sql, ...request(params, streaming) };
    for (let mayRepeat = true; ; mayRepeat = false) {
      try {
        const result = await this.#streams.query({ ...statement, format: 'JSONEachRow' });
        for await (const rows of rowsOf<Row>(result.stream<Row>(), options.signal)) {
          mayRepeat = false;
          yield rows;
        }
        return;
      } catch (error) {
        if (!mayRepeat || !this.#isIndexAtFault(error)) throw this.#error(error, 'statement', options.signal);
        statement = withoutIndexes(statement);
      }
    }
  }

  /** A statement without a result. */
  async command(sql: string, params: Params = {}, options: RequestOptions = {}): Promise<void> {
    await this.#execute({ query: sql, ...request(params, options) }, 'statement');
  }

  /** One INSERT whose body is given in the format of its statement: Native blocks, which may differ in their columns. */
  async insertBytes(insert: BytesInsert, body: readonly ArrayBuffer[]): Promise<void> {
    const settings = { ...INSERT_SETTINGS, ...insert.settings };
    const values = Readable.from(
      body.map((part) => Buffer.from(part)),
      { objectMode: false },
    );
    // With its length known, a body that breaks off is an error, and after its last byte there is nothing to wait for.
    const length = body.reduce((sum, part) => sum + part.byteLength, 0);
    const http_headers = { 'Content-Length': String(length) };
    const base = request(insert.params ?? {}, { ...insert, settings });
    await this.#execute({ query: insert.statement, values, http_headers, ...base }, 'insert');
  }

  /** One INSERT of rows given as objects; for the small tables. */
  async insertJson(table: string, rows: readonly object[], options: RequestOptions = {}): Promise<void> {
    if (rows.length === 0) return;
    const body = new TextEncoder().encode(rows.map((row) => JSON.stringify(row)).join('\n'));
    await this.insertBytes({ statement: `INSERT INTO ${table} FORMAT JSONEachRow`, ...options }, [
      body.buffer,
    ]);
  }

  /** Whether the server answers. Never throws. */
  async ping(): Promise<boolean> {
    return (await this.#client.ping()).success;
  }

  async serverVersion(): Promise<string> {
    const [row] = await this.query<{ version: string }>('SELECT version() AS version');
    return row?.version ?? '';
  }

  /** Closes the connections; what is under way fails. */
  async close(): Promise<void> {
    await Promise.all([this.#client.close(), this.#streams.close()]);
  }

  async #select<Row>(format: 'JSON' | 'JSONCompact', params: Statement): Promise<Selection<Row>> {
    return await this.#read(params, async (statement) => {
      const result = await this.#client.query({ ...statement, format });
      return toSelection<Row>(await result.text());
    });
  }

  /** Asks once more, without skip indexes, when one of them cannot be read. */
  async #read<T>(statement: Statement, ask: (statement: Statement) => Promise<T>): Promise<T> {
    const failed = (error: unknown): never => {
      throw this.#error(error, 'statement', statement.abort_signal);
    };
    try {
      return await ask(statement);
    } catch (error) {
      if (!this.#isIndexAtFault(error)) return failed(error);
    }
    return await ask(withoutIndexes(statement)).catch(failed);
  }

  #isIndexAtFault(error: unknown): boolean {
    const found = toUnreadablePart(error);
    if (found === undefined) return false;
    this.onUnreadablePart(found);
    return found.isIndex;
  }

  async #execute(params: Execution, operation: Operation): Promise<void> {
    try {
      const result = await this.#client.exec(params);
      await drain(result.stream);
    } catch (error) {
      throw this.#error(error, operation, params.abort_signal);
    } finally {
      params.values?.destroy();
    }
  }

  #error(error: unknown, operation: Operation, signal: AbortSignal | undefined): MillraceError {
    // An abort shows in many ways, as a reset connection too.
    if (signal?.aborted === true) {
      return new MillraceError('deadline_exceeded', 'The request to ClickHouse was given up.');
    }
    return toStoreError(error, operation, this.#host);
  }
}

/** Throws `config_invalid` when the address is none; nothing is sent before the first request. */
export function createStore(options: StoreOptions): Store {
  return new Store(options);
}

function createHttpClient(url: URL, options: StoreOptions, timeoutMs: number) {
  return createClient({
    url: `${url.protocol}//${url.host}`,
    ...(url.pathname.length > 1 && { pathname: url.pathname }),
    username: options.user ?? (decodeURIComponent(url.username) || 'default'),
    password: options.password ?? decodeURIComponent(url.password),
    database: options.database,
    application: 'millrace',
    http_headers: { ...options.headers },
    request_timeout: timeoutMs,
    max_open_connections: options.maxConnections ?? DEFAULT_CONNECTIONS,
    keep_alive: { enabled: true, idle_socket_ttl: 2500, eagerly_destroy_stale_sockets: true },
    clickhouse_settings: COMMON_SETTINGS,
    use_multipart_params_auto: true,
    log: { level: ClickHouseLogLevel.OFF },
  });
}

function parseUrl(address: string): URL {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw new MillraceError('config_invalid', 'CLICKHOUSE_URL must be an address like http://host:8123.');
  }
  return url;
}

function withoutIndexes(statement: Statement): Statement {
  return { ...statement, clickhouse_settings: { ...statement.clickhouse_settings, use_skip_indexes: 0 } };
}

function request(params: Params, options: RequestOptions) {
  return {
    query_params: params,
    clickhouse_settings: { ...options.settings },
    ...(options.queryId !== undefined && { query_id: options.queryId }),
    ...(options.signal !== undefined && { abort_signal: options.signal }),
  };
}
