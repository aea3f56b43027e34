import { createRequire } from 'node:module';
import { describe, expect, it } from 'vitest';
import { loadKafkajs, requireVersion } from '../../src/bus/load-kafkajs.ts';

const require = createRequire(import.meta.url);

describe('loadKafkajs', () => {
  it('accepts exactly the version whose inner modules it replaces', () => {
    expect(() => requireVersion('2.2.4')).not.toThrow();
    for (const version of ['2.2.3', '2.2.5', '2.3.0', '2.2.4-1']) {
      expect(() => requireVersion(version)).toThrow(`kafkajs 2.2.4 is needed, ${version} is installed`);
    }
  });

  it('changes nothing on import, and refuses a kafkajs that was loaded without it', () => {
    require('kafkajs');
    const decode: unknown = require('kafkajs/src/protocol/requests/fetch/v4/decodeMessages.js');
    expect(String(decode)).toContain('RecordBatchDecoder');
    expect(() => loadKafkajs()).toThrow('kafkajs was loaded before');
  });
});
