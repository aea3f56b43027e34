/**
 * The API on a real server and a real ClickHouse; what the main thread does is stood in for by plain objects.
 */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type AppOptions, createApp } from '../../src/api/app.ts';
import { type ApiKeys, loadApiKeys } from '../../src/api/auth/key-files.ts';
import { createUsers, type Users } from '../../src/api/auth/users.ts';
import type { Front } from '../../src/api/front.ts';
import type { HttpServer } from '../../src/api/http/port.ts';
import { createHttpServer } from '../../src/api/http/server.ts';
import type { OpenApi } from '../../src/api/openapi/reference-page.ts';
import type { Role } from '../../src/api/route.ts';
import { LetterSeal } from '../../src/encode/letter-seal.ts';
import { type ErrorCode, MillraceError } from '../../src/errors.ts';
import type { RateQuotas } from '../../src/pipeline/api-protocol.ts';
import type { IngestKey, IngestOptions, IngestOutcome, IngestPort } from '../../src/pipeline/ingest-port.ts';
import type { BodyFormat } from '../../src/pipeline/parse-protocol.ts';
import type { QueryPort } from '../../src/pipeline/query-port.ts';
import type { SnapshotKind, StatusPort, StatusSnapshots } from '../../src/pipeline/status-port.ts';
import type { StoredPort } from '../../src/pipeline/stored-port.ts';
import { ApiContract } from '../support/api-contract.ts';
import { RecordingTelemetry } from '../support/clickhouse.ts';
import { TEST_LETTER_KEY } from '../support/letters.ts';

export const SERVERS = ['uws', 'node'] as const;
export const MAX_BODY_BYTES = 100_000;
/** Twice the largest body, encoded and decoded, as by default. */
const BODY_BUDGET_BYTES = 4 * MAX_BODY_BYTES;
const KEY_ROTATION_MS = 30 * 86_400_000;

/** Keeps bodies and gives the outcome that the test set. */
export class RecordingIngest implements IngestPort {
  readonly bodies: { readonly text: string; readonly format: BodyFormat }[] = [];
  /** Of the bodies that had one. */
  readonly keys: IngestKey[] = [];
  readonly scopes: IngestOptions['scope'][] = [];
  outcome: IngestOutcome = { kind: 'stored', acceptedCount: 1, rejectedCount: 0, rejected: [] };

  async submit(body: ArrayBuffer, format: BodyFormat, options: IngestOptions = {}): Promise<IngestOutcome> {
    const { key, scope } = options;
    this.scopes.push(scope);
    if (key !== undefined) this.keys.push(key);
    this.bodies.push({ text: new TextDecoder().decode(body), format });
    return this.outcome;
  }

  fail(code: ErrorCode): void {
    this.outcome = { kind: 'failed', code, message: `failed: ${code}` };
  }
}

const STATUS = {
  version: '1.2.3',
  uptime_seconds: 1,
  ready: true,
  problems: [],
  stored_per_second: 0,
  received: 0,
  stored: 0,
  dead_lettered: 0,
  slow_path: 0,
  buffers: { records_bytes: 0, blocks_bytes: 0 },
  memory: { resident_bytes: 1, heap_bytes: 1 },
  lanes: [],
};

export class SettableStatus implements StatusPort {
  isSilent = false;
  readonly snapshots: { -readonly [K in SnapshotKind]: StatusSnapshots[K] } = {
    readiness: { problems: [] },
    lanes: [],
    status: STATUS,
    metrics: { contentType: 'text/plain; version=0.0.4', text: 'millrace_up 1\n' },
  };

  snapshot<K extends SnapshotKind>(kind: K): Promise<StatusSnapshots[K]> {
    if (this.isSilent) return Promise.reject(new MillraceError('deadline_exceeded', 'no answer'));
    return Promise.resolve(this.snapshots[kind]);
  }
}

export interface ApiFixture {
  readonly base: string;
  readonly port: number;
  readonly server: HttpServer;
  readonly ingest: RecordingIngest;
  readonly status: SettableStatus;
  readonly telemetry: RecordingTelemetry;
  readonly users: Users;
  readonly keys: ApiKeys;
  /** What every answer is held against. */
  readonly contract: ApiContract;
  /** Milliseconds since the epoch; `now` in queries. */
  clock: { nowMs: number };
  post(path: string, body: unknown, headers?: Record<string, string>): Promise<Response>;
  /** Access token of a user of that role, who is made when missing. */
  token(role: Role): Promise<string>;
  /** GET as a user of that role (default viewer); the body as JSON. */
  get(path: string, role?: Role): Promise<{ status: number; body: any }>; // oxlint-disable-line typescript/no-explicit-any
  /** The next token is of a new login. */
  forgetTokens(): void;
  /** Throws when an answer was not as the document has it. */
  stop(): Promise<void>;
}

export interface ApiFixtureOptions {
  readonly quotas?: RateQuotas;
  readonly corsOrigins?: readonly string[];
  readonly trustedProxies?: readonly string[];
  readonly metricsToken?: string;
  readonly maxBodyBytes?: number;
  readonly bodyBudgetBytes?: number;
  readonly tail?: AppOptions['tail'];
  /** What a pipeline tells of what it stores; default none. */
  readonly stored?: StoredPort;
  /** Of two programs that take each other's cursors. */
  readonly cursorSecret?: Buffer;
  /** For all but signing in and the audit; default the store. */
  readonly queryStore?: QueryPort;
}

export const PASSWORD = 'correct horse battery';

export async function startApi(
  kind: 'uws' | 'node',
  store: QueryPort,
  options: ApiFixtureOptions = {},
): Promise<ApiFixture> {
  const keysDir = mkdtempSync(join(tmpdir(), 'millrace-keys-'));
  const ingest = new RecordingIngest();
  const status = new SettableStatus();
  const telemetry = new RecordingTelemetry();
  const keys = loadApiKeys(keysDir);
  const { cursorSecret = randomBytes(32) } = options;
  const letterSeal = new LetterSeal([TEST_LETTER_KEY]);
  const users = createUsers(store);
  const clock = { nowMs: Date.now() };
  const app = createApp(
    {
      store: options.queryStore ?? store,
      accessStore: store,
      ingest,
      status,
      stored: options.stored,
      telemetry,
      keys,
      cursorSecret,
      letterSeal,
      now: () => clock.nowMs,
    },
    {
      maxBodyBytes: MAX_BODY_BYTES,
      bodyBudgetBytes: BODY_BUDGET_BYTES,
      hasTls: false,
      keyRotationMs: KEY_ROTATION_MS,
      ...options,
    },
  );
  const contract = new ApiContract(await documentOf(app));
  const server = createHttpServer(
    kind,
    {
      host: '127.0.0.1',
      port: 0,
      requestDeadlineMs: 10_000,
      handler: async (request) => {
        const response = await app.handle(request);
        contract.check(request, response);
        return response;
      },
      failure: (error, failed) => app.failure(error, failed),
    },
    telemetry,
  );
  const port = await server.listen();
  const base = `http://127.0.0.1:${port}`;
  const tokens = new Map<Role, string>();

  const post: ApiFixture['post'] = (path, body, headers = {}) =>
    fetch(base + path, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', ...headers },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    });

  async function token(role: Role): Promise<string> {
    const known = tokens.get(role);
    if (known !== undefined) return known;
    const name = `the-${role}`;
    if ((await users.find(name)) === undefined) await users.add({ name, password: PASSWORD, role }, 'test');
    const answer = await post('/auth/login', { username: name, password: PASSWORD });
    const { access_token: fresh } = (await answer.json()) as { access_token: string };
    tokens.set(role, fresh);
    return fresh;
  }

  return {
    base,
    port,
    server,
    ingest,
    status,
    telemetry,
    users,
    keys,
    contract,
    clock,
    post,
    token,
    async get(path, role = 'viewer') {
      const headers = { Authorization: `Bearer ${await token(role)}` };
      const answer = await fetch(base + path, { headers });
      return { status: answer.status, body: await answer.json() };
    },
    forgetTokens: () => tokens.clear(),
    async stop() {
      app.endStreams();
      await server.stop(1000);
      await app.close();
      rmSync(keysDir, { recursive: true });
      if (contract.violations.length > 0) {
        throw new Error(`answers that break the document:\n${contract.violations.join('\n')}`);
      }
    },
  };
}

/** `/openapi.json` as the app has it. */
async function documentOf(app: Front): Promise<OpenApi> {
  const { body } = await app.handle({
    method: 'GET',
    path: '/openapi.json',
    query: '',
    headers: new Map(),
    remoteAddress: '127.0.0.1',
    signal: new AbortController().signal,
    readBody: () => Promise.resolve(new ArrayBuffer(0)),
  });
  return JSON.parse(typeof body === 'string' ? body : '') as OpenApi;
}
