/** The settings of the API thread, as the configuration and the opened store give them. */
import { bodyBudgetBytes } from '../api/ingest/byte-budget.ts';
import type { Config } from '../config.ts';
import type { ApiSettings } from '../pipeline/api-protocol.ts';
import type { OpenedStore } from '../store/open-store.ts';
import { apiKeysDir } from './local-token.ts';

export const REQUEST_DEADLINE_MS = 30_000;
/** What requests under way may still take once the program is to end. */
export const HTTP_STOP_MS = 2000;
const DAY_MS = 86_400_000;

export interface ApiFacts extends Pick<ApiSettings, 'letterKeys' | 'cursorSecret'> {
  readonly opened: OpenedStore;
}

export function apiSettings(config: Config, { opened, ...facts }: ApiFacts): ApiSettings {
  const { tlsCert, tlsKey, metricsToken } = config;
  return {
    host: config.httpHost,
    port: config.httpPort,
    server: config.httpServer,
    keysDir: apiKeysDir(config.dataDir),
    keyRotationMs: config.tokenKeyDays * DAY_MS,
    ...facts,
    maxBodyBytes: config.maxBodyBytes,
    bodyBudgetBytes: bodyBudgetBytes(config.maxBodyBytes, config.memoryBudgetBytes),
    requestDeadlineMs: REQUEST_DEADLINE_MS,
    corsOrigins: config.corsOrigins,
    trustedProxies: config.trustedProxies,
    maxConnections: config.httpMaxConnections,
    quotas: {
      requestsPerMinute: config.rateRequests,
      rowsPerMinute: config.rateRows,
      ingestBytesPerMinute: config.rateIngestBytes,
      anonymousPerMinute: config.rateAnonymous,
      streamsPerUser: config.streamsPerUser,
    },
    store: opened.connection,
    ...(tlsCert === undefined || tlsKey === undefined ? {} : { tls: { certFile: tlsCert, keyFile: tlsKey } }),
    ...(metricsToken === undefined ? {} : { metricsToken: metricsToken.reveal() }),
  };
}
