/**
 * One kafkajs client with this program's sockets, time limits and log; consumers, producers and admins of the
 * bus are made from it. A client lasts for one connection attempt: whoever uses it makes a new one after a crash.
 */
import type { ConnectionOptions } from 'node:tls';
import type { Consumer, Kafka, LogEntry, Producer, RetryOptions, SASLOptions } from 'kafkajs';
import type { Telemetry } from '../telemetry.ts';
import { KafkaSockets } from './kafka-sockets.ts';
import { loadKafkajs } from './load-kafkajs.ts';

export interface KafkaConnection {
  /** `host:port` of one or more brokers. */
  readonly brokers: readonly string[];
  readonly clientId: string;
  readonly ssl?: ConnectionOptions | boolean | undefined;
  readonly sasl?: SASLOptions | undefined;
}

export interface KafkaClient {
  readonly kafka: Kafka;
  readonly sockets: KafkaSockets;
}

const CONNECTION_TIMEOUT_MS = 3000;
const REQUEST_TIMEOUT_MS = 10_000;
/** The same message of kafkajs is passed on once in this time. */
const LOG_INTERVAL_MS = 10_000;

/** Retries of kafkajs itself, short: lasting trouble is handled, and told, by whoever owns the client. */
const SHORT_RETRY = { initialRetryTime: 100, maxRetryTime: 1000, retries: 3, factor: 0.2, multiplier: 2 };

/** `retry` replaces the short default; kafkajs nests retries, and an inner one that gives up ends the outer, too. */
export function createKafkaClient(
  connection: KafkaConnection,
  telemetry: Telemetry,
  retry: RetryOptions = SHORT_RETRY,
): KafkaClient {
  const { Kafka, logLevel } = loadKafkajs();
  const sockets = new KafkaSockets();
  const { ssl, sasl } = connection;
  const kafka = new Kafka({
    brokers: [...connection.brokers],
    clientId: connection.clientId,
    ...(ssl === undefined ? {} : { ssl }),
    ...(sasl === undefined ? {} : { sasl }),
    connectionTimeout: CONNECTION_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    enforceRequestTimeout: true,
    retry,
    socketFactory: sockets.factory,
    logLevel: logLevel.WARN,
    logCreator: () => limitedLog(telemetry),
  });
  return { kafka, sockets };
}

/** Cuts the connections to a broker that left a request of `client` unanswered. */
export function cutOnTimeout(client: Consumer | Producer, sockets: KafkaSockets): void {
  const listener = (event: { readonly payload: { readonly broker: string } }): void => {
    sockets.cut(event.payload.broker);
  };
  if ('subscribe' in client) client.on(client.events.REQUEST_TIMEOUT, listener);
  else client.on(client.events.REQUEST_TIMEOUT, listener);
}

/** kafkajs repeats itself on every attempt; only the first of equal messages within the interval is told. */
function limitedLog(telemetry: Telemetry): (entry: LogEntry) => void {
  const toldAtMs = new Map<string, number>();
  return ({ namespace, label, log }) => {
    const nowMs = Date.now();
    if (nowMs - (toldAtMs.get(log.message) ?? 0) < LOG_INTERVAL_MS) return;
    if (toldAtMs.size >= 100) toldAtMs.clear();
    toldAtMs.set(log.message, nowMs);
    const detail = typeof log['error'] === 'string' ? log['error'] : '';
    telemetry.emit('kafka_client_problem', { namespace, severity: label, message: log.message, detail });
  };
}
