/**
 * A member of a Kafka group in a process of its own, to be killed: `node --import tsx group-member.ts OPTIONS`, with
 * the options of a Kafka source as JSON. Prints `joined` after each join.
 */
import { createKafkaSource, type KafkaSourceOptions } from '../../src/bus/kafka-source.ts';

const options = JSON.parse(process.argv[2] ?? '{}') as KafkaSourceOptions;
const source = createKafkaSource(options, { emit: () => undefined });
process.once('SIGTERM', () => void source.stop(10_000));
await source.start({
  onAssigned: () => {
    process.stdout.write('joined\n');
    return Promise.resolve();
  },
  onDelivery: () => Promise.resolve(),
});
