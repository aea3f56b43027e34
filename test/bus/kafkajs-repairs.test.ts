import { createRequire } from 'node:module';
import { expect, it } from 'vitest';
import { type KafkajsInternals, repairKafkajs } from '../../src/bus/kafkajs-repairs.ts';

const require = createRequire(import.meta.url);
const internals: KafkajsInternals = {
  Connection: require('kafkajs/src/network/connection') as KafkajsInternals['Connection'],
  RequestQueue: require('kafkajs/src/network/requestQueue') as KafkajsInternals['RequestQueue'],
  ConsumerGroup: require('kafkajs/src/consumer/consumerGroup') as KafkajsInternals['ConsumerGroup'],
  Runner: require('kafkajs/src/consumer/runner') as KafkajsInternals['Runner'],
};

/** Size, correlation id, and so many bytes of payload. */
function response(payloadBytes: number): Buffer {
  const bytes = Buffer.alloc(8 + payloadBytes);
  bytes.writeInt32BE(4 + payloadBytes, 0);
  return bytes;
}

it('a connection holds nothing of a response that has come in full', () => {
  repairKafkajs(internals);
  const sizes: number[] = [];
  const connection = Object.assign(
    Object.create(internals.Connection.prototype) as KafkajsInternals['Connection']['prototype'],
    {
      chunks: [],
      bytesBuffered: 0,
      bytesNeeded: 4,
      requestQueue: { fulfillRequest: ({ size }: { readonly size: number }) => sizes.push(size) },
    },
  );
  const first = response(100_000);
  connection.processData(first.subarray(0, 50_000));
  connection.processData(first.subarray(50_000));
  expect(sizes).toEqual([100_004]);
  expect(connection.chunks).toEqual([]);

  connection.processData(Buffer.concat([response(10), response(20).subarray(0, 3)]));
  expect(connection.bytesBuffered).toBe(3);
  connection.processData(response(20).subarray(3));
  expect(sizes).toEqual([100_004, 14, 24]);
  expect(connection.chunks).toEqual([]);
});
