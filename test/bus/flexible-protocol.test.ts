import { describe, expect, it } from 'vitest';
import { fetchByIdRequest } from '../../src/bus/fetch-by-id.ts';
import { FlexibleReader, FlexibleWriter } from '../../src/bus/flexible-protocol.ts';
import { topicIdsRequest } from '../../src/bus/topic-metadata.ts';

const ID = 'AQIDBAUGBwgJCgsMDQ4PEA';
const ID_HEX = '0102030405060708090a0b0c0d0e0f10';
const NO_ID_HEX = '00'.repeat(16);

function hex(...fields: string[]): string {
  return fields.join('');
}

async function bytesOf(request: { encode: () => Promise<{ buffer: Buffer }> }): Promise<string> {
  return (await request.encode()).buffer.toString('hex');
}

describe('flexible encoding', () => {
  it.each([
    [0, '01'],
    [126, '7f'],
    [127, '8001'],
    [16_383, '808001'],
  ])('counts %i bytes with an unsigned varint one larger', (length, prefix) => {
    const bytes = new FlexibleWriter().string('x'.repeat(length)).finish();
    expect(bytes.subarray(0, prefix.length / 2).toString('hex')).toBe(prefix);
    expect(new FlexibleReader(bytes).string()).toHaveLength(length);
  });

  it('reads what it writes', () => {
    const written = new FlexibleWriter().int8(-1).int32(-2).int64(-3n).uuid(ID).uuid('').string('ü');
    const reader = new FlexibleReader(written.noTags().finish());
    const read = [
      reader.int8(),
      reader.int32(),
      reader.int64(),
      reader.uuid(),
      reader.uuid(),
      reader.string(),
    ];
    expect(read).toEqual([-1, -2, -3n, ID, '', 'ü']);
    reader.skipTags();
    expect(() => reader.int8()).toThrow('ends too early');
  });

  it('takes null for nothing, and skips tagged fields', () => {
    const reader = new FlexibleReader(Buffer.from('00000002000201ff01010a07', 'hex'));
    expect([reader.string(), reader.bytes().length, reader.array(() => reader.int8())]).toEqual(['', 0, []]);
    reader.skipTags();
    expect(reader.int8()).toBe(7);
  });

  it('refuses a length that has no end or lies behind the end', () => {
    expect(() => new FlexibleReader(Buffer.from('ffffffffff01', 'hex')).string()).toThrow('no end');
    expect(() => new FlexibleReader(Buffer.from('0561', 'hex')).string()).toThrow('ends too early');
  });
});

describe('Metadata request', () => {
  it('asks for names only and never creates a topic', async () => {
    const { request } = topicIdsRequest(['ab', 'c']);
    expect(request).toMatchObject({ apiKey: 3, apiVersion: 10 });
    const topics = `${NO_ID_HEX}03616200${NO_ID_HEX}026300`;
    expect(await bytesOf(request)).toBe(`0003${topics}00000000`);
  });

  it('reads the ids of the topics that exist', async () => {
    const broker = hex('00000001', '05686f7374', '00002384', '00', '00');
    const partition = hex('0000', '00000000', '00000001', '00000000', '0200000001', '0200000001', '01', '00');
    const there = hex('0000', '036162', ID_HEX, '00', '02', partition, '80000000', '00');
    const withoutLeader = hex('0005', '0264', ID_HEX, '00', '01', '80000000', '00');
    const missing = hex('0003', '0263', NO_ID_HEX, '00', '01', '80000000', '00');
    const withoutId = hex('0000', '0265', NO_ID_HEX, '00', '01', '80000000', '00');
    const topics = hex('05', there, withoutLeader, missing, withoutId);
    const answer = hex('00', '00000000', '02', broker, '026b', '00000001', topics, '80000000', '00');
    const { decode } = topicIdsRequest([]).response;
    expect(await decode(Buffer.from(answer, 'hex'))).toEqual(
      new Map([
        ['ab', ID],
        ['d', ID],
        ['e', ''],
      ]),
    );
  });

  it('refuses to take a topic that may not be looked at for a missing one', () => {
    const topic = hex('001d', '0261', NO_ID_HEX, '00', '01', '80000000', '00');
    const answer = hex('00', '00000000', '01', '01', '00000001', '02', topic, '80000000', '00');
    const { decode } = topicIdsRequest([]).response;
    expect(() => decode(Buffer.from(answer, 'hex'))).toThrow('error 29');
  });
});

describe('Fetch request by id', () => {
  const ids = new Map([['ab', ID]]);
  const limits = { isolationLevel: 1, maxWaitTime: 2, minBytes: 3, maxBytes: 4 };

  it('names the topic by its id', async () => {
    const partitions = [{ partition: 5, fetchOffset: '6', maxBytes: 7 }];
    const { request } = fetchByIdRequest({ ...limits, topics: [{ topic: 'ab', partitions }] }, ids);
    expect(request).toMatchObject({ apiKey: 1, apiVersion: 13 });
    const head = hex('ffffffff', '00000002', '00000003', '00000004', '01', '00000000', 'ffffffff');
    const offset = hex('0000000000000006', 'ffffffff', 'ffffffffffffffff');
    const asked = hex('00000005', 'ffffffff', offset, '00000007', '00');
    const topic = hex(ID_HEX, '02', asked, '00');
    expect(await bytesOf(request)).toBe(hex('00', head, '02', topic, '01', '01', '00'));
  });

  it('asks for the partitions of all topics in an order that changes', async () => {
    const partitions = Array.from({ length: 20 }, (_, partition) => ({
      partition,
      fetchOffset: '0',
      maxBytes: 1,
    }));
    const asked = { ...limits, topics: [{ topic: 'ab', partitions }] };
    const encoded = await Promise.all([1, 2, 3].map(() => bytesOf(fetchByIdRequest(asked, ids).request)));
    expect(new Set(encoded).size).toBeGreaterThan(1);
    expect(new Set(encoded.map((hex) => hex.length)).size).toBe(1);
  });

  it('reads partitions with their errors, aborted transactions and batches', async () => {
    const offsets = hex('000000000000000a', '0000000000000009', '0000000000000001');
    const aborted = hex('02', '0000000000000009', '0000000000000008', '00');
    const first = hex('00000005', '0000', offsets, aborted, 'ffffffff', '01', '00');
    const second = hex('00000006', '0064', offsets, '00', 'ffffffff', '00', '00');
    const topics = hex('02', ID_HEX, '03', first, second, '00');
    const answer = hex('00', '00000001', '0000', '0000002a', topics, '00');
    const { decode } = fetchByIdRequest({ ...limits, topics: [] }, ids).response;
    const rest = {
      highWatermark: '10',
      lastStableOffset: '9',
      lastStartOffset: '1',
      preferredReadReplica: -1,
      messages: [],
    };
    expect(await decode(Buffer.from(answer, 'hex'))).toEqual({
      throttleTime: 0,
      clientSideThrottleTime: 1,
      errorCode: 0,
      sessionId: 42,
      responses: [
        {
          topicName: 'ab',
          partitions: [
            {
              ...rest,
              partition: 5,
              errorCode: 0,
              abortedTransactions: [{ producerId: '9', firstOffset: '8' }],
            },
            { ...rest, partition: 6, errorCode: 100, abortedTransactions: [] },
          ],
        },
      ],
    });
  });
});
