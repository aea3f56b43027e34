/**
 * Puts the API together from its ports: routes behind one front. Knows no thread and no server.
 */
import type { LetterSeal } from '../encode/letter-seal.ts';
import type { RateQuotas } from '../pipeline/api-protocol.ts';
import type { IngestPort } from '../pipeline/ingest-port.ts';
import type { QueryPort } from '../pipeline/query-port.ts';
import type { StatusPort } from '../pipeline/status-port.ts';
import type { StoredPort } from '../pipeline/stored-port.ts';
import type { Telemetry } from '../telemetry.ts';
import { ApiKeyTable } from './api-keys/api-keys.ts';
import { apiKeysRoutes } from './api-keys/api-keys-routes.ts';
import { CurrentKeys } from './api-keys/current-keys.ts';
import { AuditLog } from './audit/audit-log.ts';
import { auditRoutes } from './audit/audit-routes.ts';
import { authenticate, authRoutes } from './auth/auth-routes.ts';
import { createAuth } from './auth/create-auth.ts';
import type { ApiKeys } from './auth/key-files.ts';
import { createUsers } from './auth/users.ts';
import { ClientAddress } from './client-address.ts';
import { Cors } from './cors.ts';
import { Front } from './front.ts';
import { probeRoutes, statusRoutes } from './health/health-routes.ts';
import { Ledger } from './health/ledger.ts';
import { ByteBudget, toBudgetLimits } from './ingest/byte-budget.ts';
import { ingestRoutes } from './ingest/ingest-routes.ts';
import { lettersRoutes } from './letters/letters-routes.ts';
import { RateLimits } from './limits/rate-limits.ts';
import { logsRoutes } from './logs/logs-routes.ts';
import { docsRoutes } from './openapi/docs-routes.ts';
import { summaryRoutes } from './summary/summary-routes.ts';
import { LogsTail, type TailOptions } from './tail/tail-routes.ts';
import { usersRoutes } from './users/users-routes.ts';

export interface AppPorts {
  readonly store: QueryPort;
  /** The same with connections of its own: who may ask, and who did, does not wait for what others ask. */
  readonly accessStore: QueryPort;
  /** Absent: no logs are taken here, and there is no route to post them to. */
  readonly ingest?: IngestPort | undefined;
  readonly status: StatusPort;
  /** Absent: nobody here stores logs. */
  readonly stored?: StoredPort | undefined;
  readonly telemetry: Telemetry;
  readonly keys: ApiKeys;
  /** Signs cursors. */
  readonly cursorSecret: Buffer;
  /** Opens dead letters. */
  readonly letterSeal: LetterSeal;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

export interface AppOptions {
  /** Absent: no limits. */
  readonly quotas?: RateQuotas | undefined;
  readonly corsOrigins?: readonly string[] | undefined;
  readonly trustedProxies?: readonly string[] | undefined;
  readonly maxBodyBytes: number;
  readonly bodyBudgetBytes: number;
  readonly metricsToken?: string | undefined;
  readonly hasTls: boolean;
  /** Age at which the key that signs tokens is replaced. */
  readonly keyRotationMs: number;
  readonly tail?: Partial<TailOptions> | undefined;
}

export function createApp(ports: AppPorts, options: AppOptions): Front {
  const { store, accessStore, ingest, status, stored, telemetry, keys, cursorSecret, letterSeal, now } =
    ports;
  const users = createUsers(accessStore);
  const apiKeys = new ApiKeyTable(accessStore);
  const currentKeys = new CurrentKeys({ keys: apiKeys, telemetry, now });
  const auth = createAuth({ store: accessStore, users, keys, currentKeys, telemetry, now }, options);
  const { maxBodyBytes, bodyBudgetBytes, metricsToken, hasTls, quotas } = options;
  const budget = new ByteBudget(toBudgetLimits(bodyBudgetBytes, maxBodyBytes));
  const limits = quotas === undefined ? undefined : new RateLimits(quotas, now);
  const openStream = limits && ((username: string) => limits.openStream(username));
  const tail = new LogsTail(
    { store, status, stored, cursorSecret, telemetry, now, openStream },
    options.tail,
  );
  const routes = [
    ...authRoutes(auth),
    ...(ingest === undefined ? [] : ingestRoutes({ ingest, telemetry, maxBodyBytes, budget })),
    ...usersRoutes({ users, currentUsers: auth.currentUsers, cursorSecret }),
    ...apiKeysRoutes({ keys: apiKeys, currentKeys, cursorSecret, now }),
    ...auditRoutes({ store, cursorSecret, now }),
    ...tail.routes(),
    ...logsRoutes({ store, cursorSecret, now }),
    ...lettersRoutes({ store, cursorSecret, letterSeal, now }),
    ...summaryRoutes({ store, now }),
    ...probeRoutes({ status, metricsToken }),
    ...statusRoutes(status, new Ledger(store, now)),
  ];
  return new Front([...routes, ...docsRoutes(routes)], {
    authenticate: (request, how) => authenticate(request, auth, how),
    telemetry,
    audit: new AuditLog({ store: accessStore, telemetry, now }),
    hasTls,
    endStreams: () => tail.close(),
    limits,
    cors: new Cors(options.corsOrigins ?? []),
    clientAddress: new ClientAddress(options.trustedProxies ?? []),
  });
}
