/**
 * What the API needs of ClickHouse; the store satisfies it. Values reach the server only as parameters
 * `{name:Type}`, never inside the SQL.
 */

export interface QueryOptions {
  /** ClickHouse settings of this query (`max_execution_time`, …). */
  readonly settings?: Readonly<Record<string, string | number>>;
  readonly queryId?: string;
  readonly signal?: AbortSignal;
}

export interface QuerySelection<Row> {
  readonly rows: Row[];
  readonly rowsRead: number;
  readonly elapsedMs: number;
}

type QueryParams = Readonly<Record<string, unknown>>;

/**
 * Errors are MillraceErrors; the `cause` of one that ClickHouse answered with has its number as `clickhouseCode`.
 * Integers of 64 bits come as numbers: select `toString()` of what may pass 2^53.
 */
export interface QueryPort {
  /** `sql` is a SELECT without FORMAT clause. */
  query<Row>(sql: string, params?: QueryParams, options?: QueryOptions): Promise<Row[]>;
  select<Row>(sql: string, params?: QueryParams, options?: QueryOptions): Promise<QuerySelection<Row>>;
  /** Rows in chunks as they come, for results of any size. Leaving the loop early, or the signal, ends the query. */
  stream<Row>(sql: string, params?: QueryParams, options?: QueryOptions): AsyncIterable<readonly Row[]>;
  /** For the few rows of management tables; resolves when ClickHouse acknowledged them. */
  insertJson(table: string, rows: readonly object[], options?: QueryOptions): Promise<void>;
}
