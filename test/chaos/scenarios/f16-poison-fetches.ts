/** F16: batches that no parser can like: huge, a gzip bomb, cut off, of an unknown codec, with a wrong checksum. */
import { createKafkaProducer } from '../../../src/bus/kafka-producer.ts';
import { recordTelemetry } from '../../support/kafka.ts';
import type { Chaos } from '../chaos.ts';
import { appendPoison, type PlacedPoison, POISON_BATCHES } from '../faults/poison-batches.ts';
import type { FateOf } from '../oracle/rows.ts';
import type { Scenario } from '../scenario.ts';
import { warmUp } from './bus-steps.ts';

const RATE = 2000;
const MIB = 1024 * 1024;
const PARTITIONS = 3;
/** On a machine with too much to do the broker, or the answer itself, may be late. */
const LATE = ['kafka_unavailable', 'silent'];
/** The usual 400 MB, and half of what one bomb may become. */
const MAX_RESIDENT_BYTES = 450_000_000;

export const poisonFetches: Scenario = {
  id: 'F16',
  title: 'poison fetches: a huge batch, a gzip bomb, an unknown codec, truncated records',
  async run(chaos) {
    const broker = await chaos.ownBroker();
    const topic = await chaos.createTopic(PARTITIONS);
    const placed: PlacedPoison[] = [];
    const poison = async (probability: number): Promise<void> => {
      // In order, so that the broker does not look into its segments when it starts.
      await broker.shutdown();
      for (let partition = 0; partition < PARTITIONS; partition++) {
        const batches = POISON_BATCHES.filter(() => chaos.random.isTrue(probability));
        placed.push(...(await appendPoison(broker, { topic, partition }, batches)));
      }
      chaos.fault(`${placed.length} poison batches are in the topic`);
      await broker.restart();
    };
    const first = await chaos.startLoad({ rate: 0, count: RATE });
    await first.finished();
    await poison(1);
    const member = await chaos.startProgram();
    // A worker keeps what a bomb took, up to its cap, until it collects its garbage: later ones must not add to it.
    const before = await warmUp(chaos, member);
    for (let round = 1; round <= chaos.pick(1, 4); round++) {
      if (chaos.scale === 'long') {
        await poison(0.7);
        await chaos.expectReadyAgain(member);
      }
      const sinceMs = Date.now();
      await sendHugeBatch(chaos, topic);
      const load = await chaos.startLoad({ rate: RATE, count: 2 * RATE });
      await load.finished();
      await chaos.expectReadyAgain(member);
      // Poison is a matter of its records: nothing that the program works with is in want.
      chaos.expectNoAlarm(member, { sinceMs, allowed: chaos.pick(LATE, []) });
    }
    await chaos.verify({ fateOf: fateOfPoison(placed) });
    await chaos.verifyResources(member, before);
    const peak = await member.peakBytes();
    chaos.figure('memory_peak_mib', peak / MIB);
    chaos.expect(peak <= MAX_RESIDENT_BYTES, `resident memory reached ${peak} bytes`);
  },
};

/** One record batch of many records, larger than what is asked of a fetch. */
async function sendHugeBatch(chaos: Chaos, topic: string): Promise<void> {
  const recordCount = chaos.pick(30_000, 200_000);
  const connection = { brokers: chaos.brokers, clientId: 'chaos-huge' };
  const producer = await createKafkaProducer({ ...connection, maxBatchBytes: 60 * MIB }, recordTelemetry());
  const partition = chaos.random.below(PARTITIONS);
  const text = 'x'.repeat(200);
  const values = Array.from({ length: recordCount }, (_, i) => ({
    partition,
    value: `{"service":"huge","message":"record ${i} ${text}"}`,
  }));
  chaos.fault(`one batch of ${recordCount} records`);
  await producer.send(topic, values);
  await producer.disconnect();
}

/** The first offset of each batch has its dead letter, which stands for all of its records. */
function fateOfPoison(placed: readonly PlacedPoison[]): FateOf {
  const fates = new Map<string, ReturnType<FateOf>>();
  for (const { poison, partition, firstOffset, lastOffset } of placed) {
    fates.set(`${partition}@${firstOffset}`, { deadLetter: poison.reason });
    for (let offset = firstOffset + 1; offset <= lastOffset; offset++)
      fates.set(`${partition}@${offset}`, 'with_batch');
  }
  return ({ partition, offset, foreign }) =>
    fates.get(`${partition}@${offset}`) ?? (foreign === undefined ? undefined : 'stored');
}
