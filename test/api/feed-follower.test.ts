/** What the follower of the pipeline says that its readers have. No log is needed for it. */
import { expect, it } from 'vitest';
import { SourceNames } from '../../src/api/logs/sources.ts';
import { FeedFollower } from '../../src/api/tail/feed-follower.ts';
import { laneNumber } from '../../src/api/tail/tail-mark.ts';
import { TailReader } from '../../src/api/tail/tail-reader.ts';
import type { QueryPort } from '../../src/pipeline/query-port.ts';
import type { StoredNews, StoredPort } from '../../src/pipeline/stored-port.ts';
import { RecordingTelemetry } from '../support/clickhouse.ts';
import { until } from '../support/until.ts';

const STUCK = { source: 1, partition: 0 };
const LANE = { source: 1, partition: 1 };
const BEGAN_MS = 1_800_000_000_000;

/** Nothing may be asked but the names of sources, which do not matter here. */
const STORE: QueryPort = {
  query: () => Promise.reject(new Error('nobody answers')),
  select: () => Promise.reject(new Error('nobody answers')),
  stream: () => {
    throw new Error('nobody answers');
  },
  insertJson: () => Promise.reject(new Error('nobody answers')),
};

class FedByHand implements StoredPort {
  onNews: (news: StoredNews) => void = () => undefined;
  isFollowed = false;

  follow(onNews: (news: StoredNews) => void): () => void {
    this.onNews = onNews;
    this.isFollowed = true;
    queueMicrotask(() => this.tell(0, { toldToMs: BEGAN_MS }));
    return () => {
      this.isFollowed = false;
    };
  }

  taken(): void {}

  /** At `atMs` after the beginning. */
  tell(atMs: number, news: Partial<StoredNews> = {}): void {
    const lanes = [STUCK, LANE].map((lane) => ({ ...lane, storedOffset: 0 }));
    const toldToMs = BEGAN_MS + atMs;
    this.onNews({ stretches: [], lanes, atMs: BEGAN_MS + atMs, toldToMs, ...news });
  }
}

function rig() {
  const feed = new FedByHand();
  const reader = new TailReader(STORE, new SourceNames(STORE, Date.now));
  const ports = { reader, telemetry: new RecordingTelemetry(), groups: () => [] };
  return { feed, follower: new FeedFollower(feed, ports, { maxRows: 10 }) };
}

it('keeps a lane in the mark until its rows lie before the position, however long another lane was stuck', async () => {
  const { feed, follower } = rig();
  await follower.start();
  expect(follower.mark.lanes.get(laneNumber(LANE))).toBe(0);
  const stretch = { ...LANE, fromOffset: 0, toOffset: 5, blocks: [] };
  feed.tell(100_000, { stretches: [stretch], toldToMs: BEGAN_MS + 1000 });
  await until(() => follower.mark.lanes.get(laneNumber(LANE)) === 5);
  const stuckS = follower.mark.position.storedS;
  feed.tell(120_000);
  await until(() => follower.mark.position.storedS > stuckS);
  // The position is a minute behind: what was stored 20 s ago is not in it.
  expect(follower.mark.position.storedS).toBe((BEGAN_MS + 60_000) / 1000);
  expect(follower.mark.lanes.get(laneNumber(LANE))).toBe(5);
  feed.tell(200_000);
  await until(() => !follower.mark.lanes.has(laneNumber(LANE)));
  follower.stop();
  expect(feed.isFollowed).toBe(false);
});
