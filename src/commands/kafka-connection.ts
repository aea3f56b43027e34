/**
 * The Kafka settings as the connection that everything of src/bus is made from.
 */
import { readFileSync } from 'node:fs';
import type { KafkaConnection } from '../bus/kafka-client.ts';
import type { Config } from '../config.ts';
import { MillraceError } from '../errors.ts';

/** @throws MillraceError `usage` when no brokers are set. */
export function kafkaConnection(config: Config, clientId = 'millrace'): KafkaConnection {
  if (config.kafkaBrokers.length === 0) {
    throw new MillraceError(
      'usage',
      'No Kafka brokers are given: use --kafka-brokers or MILLRACE_KAFKA_BROKERS.',
    );
  }
  return { brokers: config.kafkaBrokers, clientId, ssl: sslOptions(config), sasl: saslOptions(config) };
}

function sslOptions(config: Config): KafkaConnection['ssl'] {
  if (!config.kafkaSsl) return undefined;
  const { kafkaSslCa, kafkaSslCert, kafkaSslKey } = config;
  if (kafkaSslCa === undefined && kafkaSslCert === undefined) return true;
  return {
    ...(kafkaSslCa === undefined ? {} : { ca: readFileSync(kafkaSslCa, 'utf8') }),
    ...(kafkaSslCert === undefined ? {} : { cert: readFileSync(kafkaSslCert, 'utf8') }),
    ...(kafkaSslKey === undefined ? {} : { key: readFileSync(kafkaSslKey, 'utf8') }),
  };
}

function saslOptions(config: Config): KafkaConnection['sasl'] {
  const { kafkaSaslMechanism: mechanism, kafkaSaslUsername: username } = config;
  const password = config.kafkaSaslPassword?.reveal();
  if (mechanism === undefined || username === undefined || password === undefined) return undefined;
  switch (mechanism) {
    case 'plain':
      return { mechanism: 'plain', username, password };
    case 'scram-sha-256':
      return { mechanism: 'scram-sha-256', username, password };
    case 'scram-sha-512':
    default:
      return { mechanism: 'scram-sha-512', username, password };
  }
}
