/**
 * Typed client of the Millrace API, made from /openapi.json by generate-client.ts: not to be edited.
 * Needs `fetch`: Node 18 or later, Deno, Bun or a browser.
 */

/** An answer that is no success. */
export class ProblemError extends Error {
  readonly status: number;
  /** Undefined when something before Millrace answered. */
  readonly problem: Problem | undefined;

  constructor(status: number, problem: Problem | undefined) {
    super(problem?.detail ?? `HTTP status ${status}`);
    this.name = 'ProblemError';
    this.status = status;
    this.problem = problem;
  }
}

export interface ClientOptions {
  /** Such as `https://logs.example.com`. */
  readonly url: string;
  /** Access token or API key; asked before every call, so that it may be renewed. */
  readonly token?: () => string | undefined;
  readonly signal?: AbortSignal;
}

type Values = Readonly<Record<string, unknown>>;

interface Call {
  readonly path?: Values;
  readonly query?: Values;
  readonly headers?: Values;
  readonly body?: unknown;
}

export type ApiKey = {
  readonly id: string;
  /** How the key begins */
  readonly prefix: string;
  readonly name: string;
  readonly role: 'analyst' | 'viewer' | 'writer';
  readonly scope: Scope;
  readonly status: 'active' | 'expired' | 'revoked';
  readonly expires_at: Timestamp | null;
  readonly changed_at: Timestamp;
  readonly changed_by: string;
  readonly last_used_at: Timestamp | null;
};

export type ApiKeyChange = {
  /** What the key is for */
  readonly name?: string;
  readonly role?: 'analyst' | 'viewer' | 'writer';
  readonly scope?: Scope;
  readonly expires_at?: string | null;
};

export type ApiKeyHistory = {
  readonly data: readonly ApiKeyVersion[];
  readonly page: PageInfo;
};

export type ApiKeyList = {
  readonly data: readonly ApiKey[];
  readonly page: PageInfo;
};

export type ApiKeyVersion = {
  readonly id: string;
  /** How the key begins */
  readonly prefix: string;
  readonly name: string;
  readonly role: 'analyst' | 'viewer' | 'writer';
  readonly scope: Scope;
  readonly status: 'active' | 'expired' | 'revoked';
  readonly expires_at: Timestamp | null;
  readonly changed_at: Timestamp;
  readonly changed_by: string;
};

export type AuditEvent = {
  readonly at: Timestamp;
  readonly actor: string;
  readonly action: string;
  /** What it is about: a name or an id, empty where there is none */
  readonly target: string;
  /** ok, denied (401, 403) or failed */
  readonly outcome: string;
  /** Of the client; empty for the command line */
  readonly address: string;
  readonly request_id: string;
  /** What was asked for */
  readonly detail: Readonly<Record<string, unknown>>;
};

export type AuditPage = {
  readonly data: readonly AuditEvent[];
  readonly page: PageInfo;
};

export type CreatedApiKey = {
  readonly id: string;
  /** How the key begins */
  readonly prefix: string;
  readonly name: string;
  readonly role: 'analyst' | 'viewer' | 'writer';
  readonly scope: Scope;
  readonly status: 'active' | 'expired' | 'revoked';
  readonly expires_at: Timestamp | null;
  readonly changed_at: Timestamp;
  readonly changed_by: string;
  readonly last_used_at: Timestamp | null;
  /** The key itself. It is not shown again */
  readonly key: string;
};

export type DeadLetter = {
  readonly id: string;
  readonly reason: string;
  readonly detail: string;
  readonly source: {
    readonly kind: string;
    readonly topic: string;
    readonly partition: number;
    readonly offset: number;
  };
  readonly record_time: Timestamp;
  readonly stored_at: Timestamp;
  /** Records it stands for */
  readonly records: number;
  /** What its bytes are, such as record or batch */
  readonly content: string;
  readonly bytes: number;
  readonly is_sealed: boolean;
  readonly redriven_at: Timestamp | null;
};

export type DeadLetterPage = {
  readonly data: readonly DeadLetter[];
  readonly page: PageInfo;
  readonly meta: QueryMeta;
};

export type DeadLetterWithPreview = {
  readonly id: string;
  readonly reason: string;
  readonly detail: string;
  readonly source: {
    readonly kind: string;
    readonly topic: string;
    readonly partition: number;
    readonly offset: number;
  };
  readonly record_time: Timestamp;
  readonly stored_at: Timestamp;
  /** Records it stands for */
  readonly records: number;
  /** What its bytes are, such as record or batch */
  readonly content: string;
  readonly bytes: number;
  readonly is_sealed: boolean;
  readonly redriven_at: Timestamp | null;
  readonly preview: string | null;
  /** Why there is no preview */
  readonly preview_problem?: string;
};

export type Ingested = {
  /** Stored, and found by queries from now on */
  readonly accepted: number;
  /** The first 1,000 of them */
  readonly rejected: readonly RejectedRecord[];
  /** How many there are, when the list is cut */
  readonly rejected_count?: number;
};

export type InputFault = {
  readonly detail: string;
  /** Into the body: a JSON pointer as a fragment, such as `#/username` */
  readonly pointer?: string;
  /** Name of the query parameter */
  readonly parameter?: string;
  /** Character of the parameter's value, from 0 */
  readonly position?: number;
  /** What was probably meant */
  readonly suggestion?: string;
};

export type Jwk = {
  readonly kty: 'OKP';
  readonly crv: 'Ed25519';
  readonly x: string;
  readonly kid: string;
  readonly use: 'sig';
  readonly alg: 'EdDSA';
};

export type JwkSet = {
  readonly keys: readonly Jwk[];
};

export type Ledger = {
  readonly balanced: boolean;
  readonly data: readonly LedgerLine[];
};

export type LedgerLine = {
  readonly source: string;
  readonly partition: number;
  readonly from_offset: number;
  /** Exclusive */
  readonly to_offset: number;
  /** `received = stored + already_present + filtered + dead_lettered` in every row of the table, and no hole */
  readonly balanced: boolean;
  readonly received: number;
  readonly stored: number;
  readonly already_present: number;
  readonly filtered: Readonly<Record<string, number>>;
  readonly dead_lettered: Readonly<Record<string, number>>;
  /** Offsets that Kafka had deleted before they were read; none of the received records */
  readonly lost_upstream: number;
  /** Stretches of offsets that were passed over without a row */
  readonly hole_count: number;
  /** The first 100 of them */
  readonly holes: readonly ({
    readonly from_offset: number;
    readonly to_offset: number;
  })[];
  /** Offsets, not records, taken from the source that have no row yet: being parsed or written */
  readonly in_flight: number;
};

export type Live = {
  readonly status: 'ok';
};

/** A stored log. Fields that are absent are left out. */
export type Log = {
  /** Holds the time and the place of the log: the same wherever it is stored */
  readonly id: string;
  readonly timestamp: Timestamp;
  readonly ingested_at: Timestamp;
  readonly host?: string;
  readonly service?: string;
  readonly environment?: string;
  readonly level?: string;
  /** As in OpenTelemetry: 9 is INFO, 17 is ERROR */
  readonly severity_number?: number;
  readonly message?: string;
  readonly source: {
    readonly kind?: string;
    readonly topic?: string;
    readonly partition: number;
    readonly offset: number;
  };
  readonly trace_id?: string;
  readonly span_id?: string;
  readonly correlation_id?: string;
  readonly source_ip?: string;
  readonly source_port?: number;
  readonly destination_ip?: string;
  readonly destination_port?: number;
  readonly user?: string;
  readonly process?: string;
  readonly pid?: number;
  readonly outcome?: string;
  readonly http?: {
    readonly method?: string;
    readonly path?: string;
    readonly status?: number;
  };
  readonly geo?: {
    readonly country?: string;
    readonly city?: string;
  };
  /** Percent */
  readonly cpu_usage?: number;
  readonly memory_usage?: {
    readonly used?: number | string;
    readonly total?: number | string;
    readonly percentage?: number;
  };
  readonly network?: {
    readonly rx_bytes?: number | string;
    readonly tx_bytes?: number | string;
  };
  readonly threats?: readonly ({
    readonly name: string;
    readonly severity: string;
    readonly tags: readonly string[];
  })[];
  readonly template_id?: number | string;
  readonly metadata?: Readonly<Record<string, string>>;
};

export type LogFacets = {
  readonly from: Timestamp;
  readonly to: Timestamp;
  /** In the order asked for */
  readonly facets: readonly ({
    readonly field: string;
    /** The most frequent first */
    readonly values: readonly ({
      readonly value: string;
      readonly count: number;
    })[];
    /** Values that there are */
    readonly distinct: number;
    /** Logs with a value that is not listed */
    readonly other: number;
    /** Logs without the field */
    readonly missing: number;
  })[];
  readonly meta: QueryMeta;
};

export type LogHistogram = {
  readonly from: Timestamp;
  readonly to: Timestamp;
  readonly interval_seconds: number;
  readonly total: number;
  /** Every interval, empty ones too; the first and the last may be cut by the range */
  readonly series: readonly ({
    readonly time: Timestamp;
    readonly count: number;
    /** `UNSET` for logs without a level, `OTHER` for levels of a name of their own */
    readonly by_level: Readonly<Record<string, number>>;
  })[];
  readonly meta: QueryMeta;
};

export type LogInContext = {
  /** Holds the time and the place of the log: the same wherever it is stored */
  readonly id: string;
  readonly timestamp: Timestamp;
  readonly ingested_at: Timestamp;
  readonly host?: string;
  readonly service?: string;
  readonly environment?: string;
  readonly level?: string;
  /** As in OpenTelemetry: 9 is INFO, 17 is ERROR */
  readonly severity_number?: number;
  readonly message?: string;
  readonly source: {
    readonly kind?: string;
    readonly topic?: string;
    readonly partition: number;
    readonly offset: number;
  };
  readonly trace_id?: string;
  readonly span_id?: string;
  readonly correlation_id?: string;
  readonly source_ip?: string;
  readonly source_port?: number;
  readonly destination_ip?: string;
  readonly destination_port?: number;
  readonly user?: string;
  readonly process?: string;
  readonly pid?: number;
  readonly outcome?: string;
  readonly http?: {
    readonly method?: string;
    readonly path?: string;
    readonly status?: number;
  };
  readonly geo?: {
    readonly country?: string;
    readonly city?: string;
  };
  /** Percent */
  readonly cpu_usage?: number;
  readonly memory_usage?: {
    readonly used?: number | string;
    readonly total?: number | string;
    readonly percentage?: number;
  };
  readonly network?: {
    readonly rx_bytes?: number | string;
    readonly tx_bytes?: number | string;
  };
  readonly threats?: readonly ({
    readonly name: string;
    readonly severity: string;
    readonly tags: readonly string[];
  })[];
  readonly template_id?: number | string;
  readonly metadata?: Readonly<Record<string, string>>;
  /** Where `context` is given; both oldest first */
  readonly context?: {
    readonly before: readonly Log[];
    readonly after: readonly Log[];
  };
  readonly meta?: QueryMeta;
};

export type LogPage = {
  readonly data: readonly Log[];
  readonly page: PageInfo;
  readonly meta: QueryMeta;
};

export type Login = {
  readonly username: string;
  /** In clear: use HTTPS outside this machine */
  readonly password: string;
};

export type Me = {
  readonly username: string;
  readonly role: 'admin' | 'analyst' | 'viewer' | 'writer';
  readonly scope?: Scope;
};

export type MetricPoint = {
  readonly avg: number | null;
  readonly min: number | null;
  readonly max: number | null;
  readonly samples: number;
};

export type MetricSummary = {
  readonly unit: 'percent' | 'bytes' | 'bytes_per_second';
  readonly avg: number | null;
  readonly min: number | null;
  readonly max: number | null;
  readonly p50: number | null;
  readonly p95: number | null;
  readonly p99: number | null;
  readonly samples: number;
  readonly trend: {
    readonly slope_per_hour: number | null;
    readonly previous_avg: number | null;
    readonly change_percent: number | null;
    readonly direction: 'up' | 'down' | 'flat';
  };
};

export type MetricsSummary = {
  readonly from: Timestamp;
  readonly to: Timestamp;
  readonly interval_seconds: number;
  readonly metrics: {
    readonly cpu_usage: MetricSummary;
    readonly memory_usage: MetricSummary;
    readonly memory_used: MetricSummary;
    readonly network_rx: MetricSummary;
    readonly network_tx: MetricSummary;
  };
  readonly events: {
    readonly total: number;
    readonly by_level: Readonly<Record<string, number>>;
    readonly by_service: readonly ({
      readonly service: string;
      readonly count: number;
    })[];
  };
  /** Every interval, empty ones too */
  readonly series: readonly ({
    readonly time: Timestamp;
    readonly events: number;
    readonly cpu_usage: MetricPoint;
    readonly memory_usage: MetricPoint;
    readonly memory_used: MetricPoint;
    readonly network_rx: MetricPoint;
    readonly network_tx: MetricPoint;
  })[];
  readonly top_hosts: readonly ({
    readonly host: string;
    readonly events: number;
    readonly cpu_usage: {
      readonly avg: number | null;
      readonly max: number | null;
    };
    readonly memory_usage: {
      readonly avg: number | null;
      readonly max: number | null;
    };
  })[];
  readonly meta: QueryMeta;
};

export type NewApiKey = {
  /** What the key is for */
  readonly name: string;
  readonly role: 'analyst' | 'viewer' | 'writer';
  readonly scope?: Scope;
  /** RFC 3339, or such as `now+90d`; from then on the key is refused */
  readonly expires_at?: string;
};

export type NewUser = {
  /** 1 to 64 letters, digits and . _ @ - */
  readonly username: string;
  /** 8 to 256 characters */
  readonly password: string;
  readonly role: 'admin' | 'analyst' | 'viewer' | 'writer';
  readonly scope?: Scope;
};

export type NotReady = {
  readonly status: 'not_ready';
  readonly reasons: readonly ({
    readonly reason: string;
    /** For this machine only */
    readonly detail?: string;
    readonly since: string;
  })[];
};

export type NothingIngested = {
  /** Address of a page that explains it */
  readonly type: string;
  readonly title: string;
  readonly status: number;
  /** What could not be done, and why */
  readonly detail: string;
  readonly code: 'usage' | 'config_invalid' | 'platform_unsupported' | 'store_unavailable' | 'store_overloaded' | 'store_refused' | 'address_unavailable' | 'migration_conflict' | 'sources_exhausted' | 'data_dir_in_use' | 'disk_full' | 'bus_unavailable' | 'thread_died' | 'lane_closed' | 'shutting_down' | 'deadline_exceeded' | 'bad_request' | 'unauthorized' | 'forbidden' | 'not_found' | 'method_not_allowed' | 'not_acceptable' | 'already_exists' | 'precondition_failed' | 'payload_too_large' | 'unsupported_media_type' | 'query_too_costly' | 'unprocessable' | 'idempotency_key_reused' | 'request_in_progress' | 'too_many_requests' | 'internal';
  /** As in the log of the program */
  readonly request_id?: string;
  /** Of the `traceparent` that came with the request */
  readonly trace_id?: string;
  /** The places of the request that do not fit */
  readonly errors?: readonly InputFault[];
  /** Stored, and found by queries from now on */
  readonly accepted?: number;
  /** The first 1,000 of them */
  readonly rejected?: readonly RejectedRecord[];
  /** How many there are, when the list is cut */
  readonly rejected_count?: number;
  readonly [name: string]: unknown;
};

/** This document */
export type OpenApi = {
  readonly openapi: string;
  readonly [name: string]: unknown;
};

export type PageInfo = {
  readonly next: string | null;
  readonly prev: string | null;
  readonly limit: number;
  readonly total: number | null;
};

export type PasswordChange = {
  readonly current_password: string;
  /** 8 to 256 characters */
  readonly new_password: string;
};

export type PipelineStatus = {
  readonly version: string;
  readonly uptime_seconds: number;
  readonly ready: boolean;
  readonly problems: readonly ({
    readonly reason: string;
    readonly detail: string;
    /** Milliseconds since 1970 */
    readonly since: number;
  })[];
  readonly stored_per_second: number;
  readonly received: number;
  readonly stored: number;
  readonly dead_lettered: number;
  /** Records that the fast parser handed over */
  readonly slow_path: number;
  readonly buffers: {
    readonly records_bytes: number;
    readonly blocks_bytes: number;
  };
  readonly memory: {
    readonly resident_bytes: number;
    readonly heap_bytes: number;
  };
  readonly lanes: readonly ({
    readonly source: string;
    readonly partition: number;
    readonly committed_offset: number;
    readonly stored_offset: number;
    /** Records that wait in the source */
    readonly lag: number;
  })[];
};

export type PostedEvent = Readonly<Record<string, unknown>>;

/** RFC 9457. There may be more members. */
export type Problem = {
  /** Address of a page that explains it */
  readonly type: string;
  readonly title: string;
  readonly status: number;
  /** What could not be done, and why */
  readonly detail: string;
  readonly code: 'usage' | 'config_invalid' | 'platform_unsupported' | 'store_unavailable' | 'store_overloaded' | 'store_refused' | 'address_unavailable' | 'migration_conflict' | 'sources_exhausted' | 'data_dir_in_use' | 'disk_full' | 'bus_unavailable' | 'thread_died' | 'lane_closed' | 'shutting_down' | 'deadline_exceeded' | 'bad_request' | 'unauthorized' | 'forbidden' | 'not_found' | 'method_not_allowed' | 'not_acceptable' | 'already_exists' | 'precondition_failed' | 'payload_too_large' | 'unsupported_media_type' | 'query_too_costly' | 'unprocessable' | 'idempotency_key_reused' | 'request_in_progress' | 'too_many_requests' | 'internal';
  /** As in the log of the program */
  readonly request_id?: string;
  /** Of the `traceparent` that came with the request */
  readonly trace_id?: string;
  /** The places of the request that do not fit */
  readonly errors?: readonly InputFault[];
  readonly [name: string]: unknown;
};

export type QueryMeta = {
  /** Rows that ClickHouse read for this answer */
  readonly rows_read: number;
  readonly elapsed_ms: number;
};

export type Ready = {
  readonly status: 'ready';
};

export type Refresh = {
  readonly refresh_token: string;
};

export type RejectedRecord = {
  /** Line, or element of the array, from 1 */
  readonly line: number;
  /** Such as malformed_json, nested_too_deep, record_too_large, corrupt_batch, unknown_codec, decompression_failed, unsupported_batch, insert_refused, poison_record, or out_of_scope */
  readonly code: string;
  readonly reason: string;
  /** Where the record is kept */
  readonly dead_letter_id?: string;
};

export type Scope = {
  readonly services?: readonly string[];
  readonly hosts?: readonly string[];
  readonly environments?: readonly string[];
};

export type Ticket = {
  /** For `?ticket=` of one live tail */
  readonly ticket: string;
  /** Seconds until it cannot be used any more */
  readonly expires_in: number;
};

/** RFC 3339 in UTC with six fraction digits */
export type Timestamp = string;

export type TokenPair = {
  /** For `Authorization: Bearer …` */
  readonly access_token: string;
  readonly token_type: 'Bearer';
  /** Seconds that the access token is valid */
  readonly expires_in: number;
  /** For `/auth/refresh` */
  readonly refresh_token: string;
};

export type User = {
  readonly username: string;
  readonly role: 'admin' | 'analyst' | 'viewer' | 'writer';
  readonly scope: Scope;
  readonly disabled: boolean;
  readonly changed_at: Timestamp;
  readonly changed_by: string;
};

export type UserChange = {
  readonly role?: 'admin' | 'analyst' | 'viewer' | 'writer';
  readonly scope?: Scope;
  readonly password?: string;
  readonly disabled?: boolean;
};

export type UserHistory = {
  readonly data: readonly UserVersion[];
  readonly page: PageInfo;
};

export type UserList = {
  readonly data: readonly User[];
  readonly page: PageInfo;
};

export type UserVersion = {
  readonly username: string;
  readonly role: 'admin' | 'analyst' | 'viewer' | 'writer';
  readonly scope: Scope;
  readonly disabled: boolean;
  readonly changed_at: Timestamp;
  readonly changed_by: string;
  readonly removed: boolean;
};

export class MillraceClient {
  readonly #options: ClientOptions;

  constructor(options: ClientOptions) {
    this.#options = options;
  }

  /** Tokens for a name and a password. */
  async login(request: {
    readonly body: Login;
  }): Promise<TokenPair> {
    return (await this.#call('POST', '/api/v1/auth/login', request)) as TokenPair;
  }

  /** New tokens for a refresh token. */
  async refresh(request: {
    readonly body: Refresh;
  }): Promise<TokenPair> {
    return (await this.#call('POST', '/api/v1/auth/refresh', request)) as TokenPair;
  }

  /** Public keys that access tokens are signed with (RFC 7517). */
  async getKeySet(): Promise<JwkSet> {
    return (await this.#call('GET', '/.well-known/jwks.json', {})) as JwkSet;
  }

  /** End the session of the token. */
  async logout(): Promise<void> {
    await this.#call('POST', '/api/v1/auth/logout', {});
  }

  /** Who is asking. */
  async getMe(): Promise<Me> {
    return (await this.#call('GET', '/api/v1/auth/me', {})) as Me;
  }

  /** Another password for the user of the token. */
  async changePassword(request: {
    readonly body: PasswordChange;
  }): Promise<TokenPair> {
    return (await this.#call('POST', '/api/v1/auth/password', request)) as TokenPair;
  }

  /** A ticket that opens one live tail. */
  async createTicket(): Promise<Ticket> {
    return (await this.#call('POST', '/api/v1/auth/ticket', {})) as Ticket;
  }

  /** Store logs. */
  async postLogs(request: {
    readonly headers?: {
      /** The same body under the same key is stored once, however often it is sent */
      readonly 'Idempotency-Key'?: string;
    };
    readonly body: PostedEvent | readonly PostedEvent[];
  }): Promise<Ingested> {
    return (await this.#call('POST', '/api/v1/logs', request)) as Ingested;
  }

  /** Logs, newest first. */
  async listLogs(request: {
    readonly query?: {
      /** Start, inclusive: RFC 3339, or such as `now-15m` (s, m, h, d, w) */
      readonly from?: string;
      /** End, exclusive, in the same forms */
      readonly to?: string;
      /** Service that wrote it */
      readonly service?: readonly string[];
      /** Host it was written on */
      readonly host?: readonly string[];
      /** Such as `prod` */
      readonly environment?: readonly string[];
      /** By any of its names, such as `warn`; `unset` for none */
      readonly level?: readonly string[];
      /** This level or a more severe one, such as `warn` */
      readonly min_level?: string;
      /** Topic, or kind of source such as `http` */
      readonly source?: readonly string[];
      /** Address it came from or went to */
      readonly ip?: readonly string[];
      /** Address it came from */
      readonly source_ip?: readonly string[];
      /** Address it went to */
      readonly destination_ip?: readonly string[];
      /** User it is about */
      readonly user?: readonly string[];
      /** Name of the process */
      readonly process?: readonly string[];
      /** Name of a threat in it */
      readonly threat?: readonly string[];
      /** Severity of a threat in it, such as `high` */
      readonly threat_severity?: readonly string[];
      /** Trace it belongs to */
      readonly trace_id?: readonly string[];
      /** Correlation id */
      readonly correlation_id?: readonly string[];
      /** All of these words, and "phrases", stand in the message */
      readonly q?: string;
      /** The language of filters, such as `level >= warn and not service in ("shop", "search")` */
      readonly filter?: string;
      /** Most rows of one page */
      readonly limit?: number;
      /** `next` or `prev` of an earlier page of the same query */
      readonly cursor?: string;
      /** By time: newest or oldest first */
      readonly order?: 'desc' | 'asc';
      /** Gives `page.total`; an estimate costs little */
      readonly count?: 'exact' | 'estimate';
      /** `attr.<key>=value`: value of that key of the metadata */
      readonly [name: `attr.${string}`]: readonly string[];
    };
  } = {}): Promise<LogPage> {
    return (await this.#call('GET', '/api/v1/logs', request)) as LogPage;
  }

  /** Store logs. */
  async postLog(request: {
    readonly headers?: {
      /** The same body under the same key is stored once, however often it is sent */
      readonly 'Idempotency-Key'?: string;
    };
    readonly body: PostedEvent | readonly PostedEvent[];
  }): Promise<Ingested> {
    return (await this.#call('POST', '/api/v1/log', request)) as Ingested;
  }

  /** Users in the order of their names. */
  async listUsers(request: {
    readonly query?: {
      /** Most rows of one page */
      readonly limit?: number;
      /** `next` or `prev` of an earlier page of the same query */
      readonly cursor?: string;
    };
  } = {}): Promise<UserList> {
    return (await this.#call('GET', '/api/v1/users', request)) as UserList;
  }

  /** Add a user. */
  async createUser(request: {
    readonly body: NewUser;
  }): Promise<User> {
    return (await this.#call('POST', '/api/v1/users', request)) as User;
  }

  /** One user. */
  async getUser(request: {
    readonly path: {
      readonly name: string;
    };
  }): Promise<User> {
    return (await this.#call('GET', '/api/v1/users/{name}', request)) as User;
  }

  /** Change role, scope or password of a user, disable or enable. */
  async changeUser(request: {
    readonly path: {
      readonly name: string;
    };
    readonly headers?: {
      /** ETag of what was read; 412 when it was changed since */
      readonly 'If-Match'?: string;
    };
    readonly body: UserChange;
  }): Promise<User> {
    return (await this.#call('PATCH', '/api/v1/users/{name}', request)) as User;
  }

  /** Remove a user. */
  async removeUser(request: {
    readonly path: {
      readonly name: string;
    };
    readonly headers?: {
      /** ETag of what was read; 412 when it was changed since */
      readonly 'If-Match'?: string;
    };
  }): Promise<void> {
    await this.#call('DELETE', '/api/v1/users/{name}', request);
  }

  /** What a user was, newest first. */
  async listUserVersions(request: {
    readonly path: {
      readonly name: string;
    };
    readonly query?: {
      /** Most rows of one page */
      readonly limit?: number;
      /** `next` or `prev` of an earlier page of the same query */
      readonly cursor?: string;
    };
  }): Promise<UserHistory> {
    return (await this.#call('GET', '/api/v1/users/{name}/history', request)) as UserHistory;
  }

  /** API keys in the order of their ids, expired and revoked ones too. */
  async listApiKeys(request: {
    readonly query?: {
      /** Most rows of one page */
      readonly limit?: number;
      /** `next` or `prev` of an earlier page of the same query */
      readonly cursor?: string;
    };
  } = {}): Promise<ApiKeyList> {
    return (await this.#call('GET', '/api/v1/api-keys', request)) as ApiKeyList;
  }

  /** Make an API key. */
  async createApiKey(request: {
    readonly body: NewApiKey;
  }): Promise<CreatedApiKey> {
    return (await this.#call('POST', '/api/v1/api-keys', request)) as CreatedApiKey;
  }

  /** One API key. */
  async getApiKey(request: {
    readonly path: {
      readonly id: string;
    };
  }): Promise<ApiKey> {
    return (await this.#call('GET', '/api/v1/api-keys/{id}', request)) as ApiKey;
  }

  /** Change name, role, scope or expiry of a key. */
  async changeApiKey(request: {
    readonly path: {
      readonly id: string;
    };
    readonly headers?: {
      /** ETag of what was read; 412 when it was changed since */
      readonly 'If-Match'?: string;
    };
    readonly body: ApiKeyChange;
  }): Promise<ApiKey> {
    return (await this.#call('PATCH', '/api/v1/api-keys/{id}', request)) as ApiKey;
  }

  /** Revoke a key, for good. */
  async revokeApiKey(request: {
    readonly path: {
      readonly id: string;
    };
    readonly headers?: {
      /** ETag of what was read; 412 when it was changed since */
      readonly 'If-Match'?: string;
    };
  }): Promise<void> {
    await this.#call('DELETE', '/api/v1/api-keys/{id}', request);
  }

  /** What a key was, newest first. */
  async listApiKeyVersions(request: {
    readonly path: {
      readonly id: string;
    };
    readonly query?: {
      /** Most rows of one page */
      readonly limit?: number;
      /** `next` or `prev` of an earlier page of the same query */
      readonly cursor?: string;
    };
  }): Promise<ApiKeyHistory> {
    return (await this.#call('GET', '/api/v1/api-keys/{id}/history', request)) as ApiKeyHistory;
  }

  /** Who did what, newest first. */
  async listAudit(request: {
    readonly query?: {
      /** User name, or `key:` and the id of a key */
      readonly actor?: readonly string[];
      /** Such as `auth.login` or `user.change` */
      readonly action?: readonly string[];
      /** Start, inclusive: RFC 3339, or such as `now-15m` (s, m, h, d, w) */
      readonly from?: string;
      /** End, exclusive, in the same forms */
      readonly to?: string;
      /** Most rows of one page */
      readonly limit?: number;
      /** `next` or `prev` of an earlier page of the same query */
      readonly cursor?: string;
    };
  } = {}): Promise<AuditPage> {
    return (await this.#call('GET', '/api/v1/audit', request)) as AuditPage;
  }

  /** Logs as they are stored. Server-sent events without an end: read them as they come, then cancel. */
  async tailLogs(request: {
    readonly query?: {
      /** Service that wrote it */
      readonly service?: readonly string[];
      /** Host it was written on */
      readonly host?: readonly string[];
      /** Such as `prod` */
      readonly environment?: readonly string[];
      /** By any of its names, such as `warn`; `unset` for none */
      readonly level?: readonly string[];
      /** This level or a more severe one, such as `warn` */
      readonly min_level?: string;
      /** Topic, or kind of source such as `http` */
      readonly source?: readonly string[];
      /** Address it came from or went to */
      readonly ip?: readonly string[];
      /** Address it came from */
      readonly source_ip?: readonly string[];
      /** Address it went to */
      readonly destination_ip?: readonly string[];
      /** User it is about */
      readonly user?: readonly string[];
      /** Name of the process */
      readonly process?: readonly string[];
      /** Name of a threat in it */
      readonly threat?: readonly string[];
      /** Severity of a threat in it, such as `high` */
      readonly threat_severity?: readonly string[];
      /** Trace it belongs to */
      readonly trace_id?: readonly string[];
      /** Correlation id */
      readonly correlation_id?: readonly string[];
      /** All of these words, and "phrases", stand in the message */
      readonly q?: string;
      /** The language of filters, such as `level >= warn and not service in ("shop", "search")` */
      readonly filter?: string;
      /** The id of the last event that was received: goes on after it, as the header does */
      readonly cursor?: string;
      /** `attr.<key>=value`: value of that key of the metadata */
      readonly [name: `attr.${string}`]: readonly string[];
    };
    readonly headers?: {
      /** The id of the last event that was received: goes on after it */
      readonly 'Last-Event-ID'?: string;
    };
  } = {}): Promise<ReadableStream<Uint8Array>> {
    return await this.#stream('GET', '/api/v1/logs/tail', request);
  }

  /** How many logs there are over time, by level. */
  async getLogHistogram(request: {
    readonly query?: {
      /** Start, inclusive; where counts by minute or hour can answer, it is widened to whole ones */
      readonly from?: string;
      /** End, exclusive; where counts by minute or hour can answer, it is widened to whole ones */
      readonly to?: string;
      /** Service that wrote it */
      readonly service?: readonly string[];
      /** Host it was written on */
      readonly host?: readonly string[];
      /** Such as `prod` */
      readonly environment?: readonly string[];
      /** By any of its names, such as `warn`; `unset` for none */
      readonly level?: readonly string[];
      /** This level or a more severe one, such as `warn` */
      readonly min_level?: string;
      /** Topic, or kind of source such as `http` */
      readonly source?: readonly string[];
      /** Address it came from or went to */
      readonly ip?: readonly string[];
      /** Address it came from */
      readonly source_ip?: readonly string[];
      /** Address it went to */
      readonly destination_ip?: readonly string[];
      /** User it is about */
      readonly user?: readonly string[];
      /** Name of the process */
      readonly process?: readonly string[];
      /** Name of a threat in it */
      readonly threat?: readonly string[];
      /** Severity of a threat in it, such as `high` */
      readonly threat_severity?: readonly string[];
      /** Trace it belongs to */
      readonly trace_id?: readonly string[];
      /** Correlation id */
      readonly correlation_id?: readonly string[];
      /** All of these words, and "phrases", stand in the message */
      readonly q?: string;
      /** The language of filters, such as `level >= warn and not service in ("shop", "search")` */
      readonly filter?: string;
      /** Such as `30s`, `5m` or `1h`; by itself such that there are at most 300 */
      readonly interval?: string;
      /** `attr.<key>=value`: value of that key of the metadata */
      readonly [name: `attr.${string}`]: readonly string[];
    };
  } = {}): Promise<LogHistogram> {
    return (await this.#call('GET', '/api/v1/logs/histogram', request)) as LogHistogram;
  }

  /** The most frequent values of fields. */
  async getLogFacets(request: {
    readonly query: {
      /** Start, inclusive; where counts by minute or hour can answer, it is widened to whole ones */
      readonly from?: string;
      /** End, exclusive; where counts by minute or hour can answer, it is widened to whole ones */
      readonly to?: string;
      /** Service that wrote it */
      readonly service?: readonly string[];
      /** Host it was written on */
      readonly host?: readonly string[];
      /** Such as `prod` */
      readonly environment?: readonly string[];
      /** By any of its names, such as `warn`; `unset` for none */
      readonly level?: readonly string[];
      /** This level or a more severe one, such as `warn` */
      readonly min_level?: string;
      /** Topic, or kind of source such as `http` */
      readonly source?: readonly string[];
      /** Address it came from or went to */
      readonly ip?: readonly string[];
      /** Address it came from */
      readonly source_ip?: readonly string[];
      /** Address it went to */
      readonly destination_ip?: readonly string[];
      /** User it is about */
      readonly user?: readonly string[];
      /** Name of the process */
      readonly process?: readonly string[];
      /** Name of a threat in it */
      readonly threat?: readonly string[];
      /** Severity of a threat in it, such as `high` */
      readonly threat_severity?: readonly string[];
      /** Trace it belongs to */
      readonly trace_id?: readonly string[];
      /** Correlation id */
      readonly correlation_id?: readonly string[];
      /** All of these words, and "phrases", stand in the message */
      readonly q?: string;
      /** The language of filters, such as `level >= warn and not service in ("shop", "search")` */
      readonly filter?: string;
      /** One of at most 10: such as `service`, `level`, `http.status` or `attr.<key>` */
      readonly field: readonly string[];
      /** Most values of each */
      readonly limit?: number;
      /** `attr.<key>=value`: value of that key of the metadata */
      readonly [name: `attr.${string}`]: readonly string[];
    };
  }): Promise<LogFacets> {
    return (await this.#call('GET', '/api/v1/logs/facets', request)) as LogFacets;
  }

  /** One log, or a log among its neighbours. */
  async getLog(request: {
    readonly path: {
      readonly id: string;
    };
    readonly query?: {
      /** Logs to show before and after it, of the same host and service, within a day */
      readonly context?: number;
    };
    readonly headers?: {
      /** The ETag of an earlier answer */
      readonly 'If-None-Match'?: string;
    };
  }): Promise<LogInContext> {
    return (await this.#call('GET', '/api/v1/logs/{id}', request)) as LogInContext;
  }

  /** Dead letters, newest first. */
  async listDeadLetters(request: {
    readonly query?: {
      /** Why it is no event: malformed_json, nested_too_deep, record_too_large, corrupt_batch, unknown_codec, decompression_failed, unsupported_batch, insert_refused, poison_record */
      readonly reason?: readonly string[];
      /** Topic, or kind of source such as `http` */
      readonly source?: readonly string[];
      /** Start, inclusive: RFC 3339, or such as `now-15m` (s, m, h, d, w) */
      readonly from?: string;
      /** End, exclusive, in the same forms */
      readonly to?: string;
      /** Most rows of one page */
      readonly limit?: number;
      /** `next` or `prev` of an earlier page of the same query */
      readonly cursor?: string;
    };
  } = {}): Promise<DeadLetterPage> {
    return (await this.#call('GET', '/api/v1/dead-letters', request)) as DeadLetterPage;
  }

  /** One dead letter with a masked preview. */
  async getDeadLetter(request: {
    readonly path: {
      readonly id: string;
    };
  }): Promise<DeadLetterWithPreview> {
    return (await this.#call('GET', '/api/v1/dead-letters/{id}', request)) as DeadLetterWithPreview;
  }

  /** Host metrics and counts of logs over a range, with their trend. */
  async getMetricsSummary(request: {
    readonly query?: {
      /** Start, inclusive, widened to a whole minute or hour */
      readonly from?: string;
      /** End, exclusive, widened likewise */
      readonly to?: string;
      /** Whole minutes, such as `60`, `5m` or `1h`; by itself at most 300 points */
      readonly interval?: string;
      /** Host it was written on */
      readonly host?: readonly string[];
      /** Service that wrote it */
      readonly service?: readonly string[];
      /** Such as `prod` */
      readonly environment?: readonly string[];
    };
  } = {}): Promise<MetricsSummary> {
    return (await this.#call('GET', '/api/v1/metrics/summary', request)) as MetricsSummary;
  }

  /** Whether the API answers. */
  async getLiveness(): Promise<Live> {
    return (await this.#call('GET', '/livez', {})) as Live;
  }

  /** Whether the program can do its work. */
  async getReadiness(): Promise<Ready> {
    return (await this.#call('GET', '/readyz', {})) as Ready;
  }

  /** Metrics for Prometheus. */
  async getMetrics(): Promise<string> {
    return (await this.#call('GET', '/metrics', {})) as string;
  }

  /** What became of every record, per source and partition. */
  async getLedger(): Promise<Ledger> {
    return (await this.#call('GET', '/api/v1/pipeline/ledger', {})) as Ledger;
  }

  /** Rates, buffers and lanes since the start of the program. */
  async getPipelineStatus(): Promise<PipelineStatus> {
    return (await this.#call('GET', '/api/v1/pipeline/status', {})) as PipelineStatus;
  }

  /** This document. */
  async getOpenApi(request: {
    readonly headers?: {
      /** ETag of an earlier answer */
      readonly 'If-None-Match'?: string;
    };
  } = {}): Promise<OpenApi> {
    return (await this.#call('GET', '/openapi.json', request)) as OpenApi;
  }

  /** The reference as a page. */
  async getDocs(request: {
    readonly headers?: {
      /** ETag of an earlier answer */
      readonly 'If-None-Match'?: string;
    };
  } = {}): Promise<string> {
    return (await this.#call('GET', '/docs', request)) as string;
  }

  /** What a code of a refusal means. */
  async getProblemType(request: {
    readonly path: {
      /** Such as `bad_request` */
      readonly code: string;
    };
    readonly headers?: {
      /** ETag of an earlier answer */
      readonly 'If-None-Match'?: string;
    };
  }): Promise<string> {
    return (await this.#call('GET', '/problems/{code}', request)) as string;
  }

  async #call(method: string, template: string, call: Call): Promise<unknown> {
    return await valueOf(await this.#send(method, template, call));
  }

  async #stream(method: string, template: string, call: Call): Promise<ReadableStream<Uint8Array>> {
    const { body } = await this.#send(method, template, call);
    if (body === null) throw new TypeError('The answer has no body');
    return body;
  }

  async #send(method: string, template: string, call: Call): Promise<Response> {
    const { url, token, signal } = this.#options;
    const path = template.replace(/\{(\w+)\}/g, (_all, name: string) =>
      encodeURIComponent(String(call.path?.[name])),
    );
    const query = new URLSearchParams(pairsOf(call.query)).toString();
    const bearer = token?.();
    const response = await fetch(url.replace(/\/$/, '') + path + (query === '' ? '' : `?${query}`), {
      method,
      headers: {
        Accept: 'application/json, */*;q=0.1',
        ...(bearer === undefined ? {} : { Authorization: `Bearer ${bearer}` }),
        ...(call.body === undefined ? {} : { 'Content-Type': 'application/json' }),
        ...Object.fromEntries(pairsOf(call.headers)),
      },
      ...(call.body === undefined ? {} : { body: JSON.stringify(call.body) }),
      ...(signal === undefined ? {} : { signal }),
    });
    if (response.ok) return response;
    const value = await valueOf(response);
    throw new ProblemError(response.status, typeof value === 'object' ? (value as Problem) : undefined);
  }
}

async function valueOf(response: Response): Promise<unknown> {
  const type = response.headers.get('content-type') ?? '';
  const text = await response.text();
  return /[/+]json\b/.test(type) && text !== '' ? JSON.parse(text) : text;
}

/** Names and values as they go into a query: a list is its name repeated. */
function pairsOf(values: Values = {}): [string, string][] {
  return Object.entries(values).flatMap(([name, value]) => {
    if (value === undefined) return [];
    return (Array.isArray(value) ? value : [value]).map((one): [string, string] => [name, String(one)]);
  });
}
