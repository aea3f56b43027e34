/**
 * Produced events into Kafka topics, keyed by host.
 */
import { createKafkaProducer } from '../bus/kafka-producer.ts';
import type { Config } from '../config.ts';
import type { ProducedEvent } from '../produce/generator.ts';
import type { Telemetry } from '../telemetry.ts';
import type { EventSink } from './event-sink.ts';
import { kafkaConnection } from './kafka-connection.ts';
import { createLedgerFile } from './produce-ledger.ts';
import type { ProduceOptions } from './produce-options.ts';

export async function createKafkaSink(
  config: Config,
  { compression, partitionCount, ledgerFile }: ProduceOptions,
  telemetry: Telemetry,
): Promise<EventSink> {
  const connection = kafkaConnection(config, 'millrace-produce');
  const options = { ...connection, compression, newTopicPartitions: partitionCount };
  const producer = await createKafkaProducer(options, telemetry);
  const ledger = ledgerFile === undefined ? undefined : createLedgerFile(ledgerFile);
  const sendNow = (topic: string, events: readonly ProducedEvent[]): Promise<void> =>
    producer.send(topic, events, (stretch) => ledger?.enter(topic, stretch));
  const knownTopics = new Set<string>();
  let lastFirstSend: Promise<void> = Promise.resolve();
  return {
    async send(topic, events) {
      if (knownTopics.has(topic)) return await sendNow(topic, events);
      // The first send may have to create the topic: one at a time, or the cluster's view of them lags behind.
      const turn = lastFirstSend.then(() => sendNow(topic, events));
      lastFirstSend = turn.catch(() => {});
      await turn;
      knownTopics.add(topic);
    },
    async close() {
      await producer.disconnect();
      ledger?.close();
    },
  };
}
