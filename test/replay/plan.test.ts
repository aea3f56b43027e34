import { describe, expect, test } from 'vitest';
import { type LedgerEnds, planRanges, type ReplayPoint, type ReplayRequest } from '../../src/replay/plan.ts';
import type { TopicView } from '../../src/replay/ports.ts';

const offset = (value: number): ReplayPoint => ({ kind: 'offset', offset: value });
const time = (timeMs: number): ReplayPoint => ({ kind: 'time', timeMs });

/** Partition 0: [100, 1000) in Kafka; partition 1: [0, 50). Time 7 is at 300, and past the end of partition 1. */
const VIEW: TopicView = {
  clusterId: 'c',
  partitions: [
    { partition: 1, earliestOffset: 0, endOffset: 50 },
    { partition: 0, earliestOffset: 100, endOffset: 1000 },
  ],
  offsetsAt: new Map([
    [
      7,
      new Map([
        [0, 300],
        [1, 50],
      ]),
    ],
  ]),
};
const LEDGER: LedgerEnds = new Map([
  [0, 900],
  [1, 50],
]);

function plan(request: Omit<ReplayRequest, 'topic'>, ledger: LedgerEnds = LEDGER) {
  return planRanges({ topic: 't', ...request }, VIEW, ledger);
}

describe('planRanges', () => {
  test('takes all that was processed when no end is given, in order of partition', () => {
    expect(plan({ from: offset(200) })).toEqual([
      { partition: 0, fromOffset: 200, toOffset: 900, clips: [] },
      { partition: 1, fromOffset: 50, toOffset: 50, clips: [] },
    ]);
  });

  test('takes times as Kafka resolved them', () => {
    expect(plan({ from: offset(100), to: time(7) })).toEqual([
      { partition: 0, fromOffset: 100, toOffset: 300, clips: [] },
      { partition: 1, fromOffset: 50, toOffset: 50, clips: [] },
    ]);
    expect(plan({ from: time(7), partitions: [0] })).toMatchObject([{ fromOffset: 300, toOffset: 900 }]);
  });

  test('clips to what Kafka still has', () => {
    expect(plan({ from: offset(0), to: offset(200), partitions: [0] })).toEqual([
      {
        partition: 0,
        fromOffset: 100,
        toOffset: 200,
        clips: [{ reason: 'deleted_by_kafka', askedOffset: 0, offset: 100 }],
      },
    ]);
  });

  test('never reaches the end of the ledger, where the running program works', () => {
    expect(plan({ from: offset(890), to: offset(2000), partitions: [0] })).toEqual([
      {
        partition: 0,
        fromOffset: 890,
        toOffset: 900,
        clips: [
          { reason: 'past_the_end', askedOffset: 2000, offset: 1000 },
          { reason: 'not_processed_yet', askedOffset: 1000, offset: 900 },
        ],
      },
    ]);
  });

  test('leaves out a partition that was never processed', () => {
    expect(plan({ from: offset(0) }, new Map([[1, 50]]))).toMatchObject([
      { partition: 0, fromOffset: 0, toOffset: 0, clips: [{ reason: 'never_processed' }] },
      { partition: 1, fromOffset: 0, toOffset: 50, clips: [] },
    ]);
  });

  test('says why nothing is left', () => {
    const problem = (request: Omit<ReplayRequest, 'topic'>, ledger = LEDGER) => {
      try {
        return plan(request, ledger);
      } catch (error) {
        return (error as Error).message;
      }
    };
    expect(problem({ from: offset(0), to: offset(80), partitions: [0] })).toBe(
      'Nothing to replay of topic "t": partition 0: Kafka has deleted the records from 0 to 99.',
    );
    expect(problem({ from: offset(950), partitions: [0] })).toBe(
      'Nothing to replay of topic "t": partition 0: no processed record lies between --from and 900.',
    );
    expect(problem({ from: offset(0) }, new Map())).toMatch(/partition 0: .*never processed, partition 1: /);
    expect(problem({ from: offset(0), partitions: [2] })).toBe(
      'Topic "t" has no partition 2, it has 2 partitions.',
    );
  });
});
