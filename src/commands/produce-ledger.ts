/**
 * The producer's own ledger: one line per record that Kafka acknowledged, so that whoever tests storage knows
 * without asking it what must be there. What was sent without an answer is not in it.
 */
import { closeSync, openSync, writeSync } from 'node:fs';
import type { AcknowledgedStretch } from '../bus/kafka-producer.ts';
import type { ProducedEvent } from '../produce/generator.ts';

export interface LedgerFile {
  enter(topic: string, stretch: AcknowledgedStretch<ProducedEvent>): void;
  close(): void;
}

/** Begins the file anew. Lines: topic, partition, offset, seq and hash (as in the checksum), separated by tabs. */
export function createLedgerFile(path: string): LedgerFile {
  const file = openSync(path, 'w');
  return {
    enter(topic, { partition, baseOffset, messages }) {
      const lines = messages.map(
        ({ seq, hash }, index) => `${topic}\t${partition}\t${baseOffset + index}\t${seq}\t${hash}\n`,
      );
      // Before the next event is sent: a killed producer has written down all that it knows of.
      writeSync(file, lines.join(''));
    },
    close: () => closeSync(file),
  };
}
