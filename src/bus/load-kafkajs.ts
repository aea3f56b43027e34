/**
 * The only way to kafkajs: loads exactly version 2.2.4 with the replacements and repairs of this program.
 * Nothing happens on import, so a process that wants stock kafkajs (the bench baseline) imports it directly.
 */
import { createRequire } from 'node:module';
import type * as Kafkajs from 'kafkajs';
import { MillraceError } from '../errors.ts';
import { passEncodedBatch, passEncodedRecord } from './encoded-batch.ts';
import { type KafkajsInternals, repairKafkajs } from './kafkajs-repairs.ts';
import { addTopicIds, type TopicIdInternals } from './kafkajs-topic-ids.ts';
import { decodeUndecoded, dropAborted } from './undecoded-batches.ts';

/** The replacements reach into modules that are no public interface: any other version may differ. */
const SUPPORTED_VERSION = '2.2.4';

const REPLACEMENTS: Readonly<Record<string, unknown>> = {
  'kafkajs/src/protocol/requests/fetch/v4/decodeMessages.js': decodeUndecoded,
  'kafkajs/src/consumer/filterAbortedMessages.js': dropAborted,
};

const require = createRequire(import.meta.url);
let loaded: typeof Kafkajs | undefined;

/**
 * kafkajs with undecoded record batches, loaded on the first call. Throws `platform_unsupported` when another
 * version is installed, or when the process has already loaded kafkajs on its own.
 */
export function loadKafkajs(): typeof Kafkajs {
  loaded ??= loadReplaced();
  return loaded;
}

function loadReplaced(): typeof Kafkajs {
  const { version } = require('kafkajs/package.json') as { readonly version: string };
  requireVersion(version);
  for (const [name, exports] of Object.entries(REPLACEMENTS)) replaceModule(name, exports);
  wrapModule('kafkajs/src/protocol/recordBatch/record/v0/index.js', passEncodedRecord);
  wrapModule('kafkajs/src/protocol/recordBatch/v0/index.js', passEncodedBatch);
  const kafkajs = require('kafkajs') as typeof Kafkajs;
  repairKafkajs({
    Connection: require('kafkajs/src/network/connection') as KafkajsInternals['Connection'],
    RequestQueue: require('kafkajs/src/network/requestQueue') as KafkajsInternals['RequestQueue'],
    ConsumerGroup: require('kafkajs/src/consumer/consumerGroup') as KafkajsInternals['ConsumerGroup'],
    Runner: require('kafkajs/src/consumer/runner') as KafkajsInternals['Runner'],
  });
  const { parse } = require('kafkajs/src/protocol/requests/fetch/v11/response') as {
    readonly parse: TopicIdInternals['parseFetch'];
  };
  addTopicIds({
    Cluster: require('kafkajs/src/cluster') as TopicIdInternals['Cluster'],
    Broker: require('kafkajs/src/broker') as TopicIdInternals['Broker'],
    parseFetch: parse,
    ...(require('kafkajs/src/protocol/error') as Pick<TopicIdInternals, 'createErrorFromCode'>),
  });
  return kafkajs;
}

export function requireVersion(version: string): void {
  if (version === SUPPORTED_VERSION) return;
  throw new MillraceError(
    'platform_unsupported',
    `Cannot read Kafka: kafkajs ${SUPPORTED_VERSION} is needed, ${version} is installed.`,
  );
}

/** Puts `exports` where `require` looks first; too late once the real module was loaded. */
function replaceModule(name: string, exports: unknown): void {
  const filename = require.resolve(name);
  if (require.cache[filename] !== undefined) {
    throw new MillraceError(
      'platform_unsupported',
      'Cannot read Kafka: kafkajs was loaded before Millrace did it.',
    );
  }
  const Module = require('node:module') as new (id: string) => NodeJS.Module;
  const module = new Module(filename);
  module.filename = filename;
  module.loaded = true;
  module.exports = exports;
  require.cache[filename] = module;
}

/** Gives the module at `name` other exports, made from its own. */
function wrapModule<T>(name: string, wrap: (original: T) => T): void {
  const original = require(name) as T;
  const module = require.cache[require.resolve(name)];
  if (module !== undefined) module.exports = wrap(original);
}
