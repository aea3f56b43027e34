/**
 * Where produced events go: Kafka or an HTTP endpoint.
 */
import type { ProducedEvent } from '../produce/generator.ts';

export interface EventSink {
  /** Resolves when the receiver holds all of them; rejects when it may not. All events are of `topic`. */
  send(topic: string, events: readonly ProducedEvent[]): Promise<void>;
  close(): Promise<void>;
}
