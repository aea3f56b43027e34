/**
 * Law 5: 10,000 rows, 3,000 of them of one microsecond, are walked page by page while more arrive.
 */
import { expect } from 'vitest';
import { MillraceError } from '../../src/errors.ts';
import type { Store } from '../../src/store/clickhouse-client.ts';
import { type DirectRoutes, directRoutes, textOf } from './direct-routes.ts';
import { insertLogs } from './log-rows.ts';

const ROWS = 10_000;
const TIES = 3000;
const BASE = '2026-02-01T00:00:00Z';
const TIED_SECOND = 400;
/** Over a quarter of an hour: several buckets of the table. */
const SPAN_S = 900;
const ARRIVALS = 50;
const ARRIVAL_PAUSE_MS = 50;
const MAX_ATTEMPTS = 10;

interface Page {
  readonly data: readonly { readonly id: string }[];
  readonly page: { readonly next: string | null; readonly prev: string | null };
}

/** The first inserts make the state of page one; `lane` keeps what comes later apart. */
export async function insertPagedRows(store: Store): Promise<void> {
  await insertLogs(store, rowsOf(ROWS, TIES, 0));
}

/** Walks in both directions with each page size at once, while rows arrive everywhere in the range. */
export async function walkAll(store: Store, limits: readonly number[]): Promise<void> {
  const routes = directRoutes(store);
  const state = await everything(routes);
  expect(state).toHaveLength(ROWS);
  const lastPage = await lastOf(routes);
  const walks = limits.flatMap((limit) => [
    walk(routes, { limit, relation: 'next', cursor: undefined }),
    walk(routes, { limit, relation: 'prev', cursor: lastPage.page.prev }),
  ]);
  let isOver = false;
  const arrivedCount = arrive(store, () => isOver);
  const seen = await Promise.all(walks).finally(() => {
    isOver = true;
  });
  expect(await arrivedCount).toBeGreaterThan(0);
  for (const [i, ids] of seen.entries()) {
    const wanted = i % 2 === 0 ? state : state.slice(0, -lastPage.data.length);
    const found = new Set(ids);
    expect(found.size).toBe(ids.length);
    expect(wanted.filter((id) => !found.has(id))).toEqual([]);
    // In the order of the first page's state, with what arrived in between.
    const known = new Set(state);
    const kept = ids.filter((id) => known.has(id));
    expect(i % 2 === 0 ? kept : kept.toReversed()).toEqual(wanted);
  }
}

function rowsOf(count: number, tieCount: number, lane: number) {
  const startMs = Date.parse(BASE);
  return Array.from({ length: count }, (_, i) => ({
    timestamp: new Date(
      startMs + (i < tieCount ? TIED_SECOND * 1000 : ((i * 7919) % SPAN_S) * 1000),
    ).toISOString(),
    source: 1 + (i % 3),
    partition: lane + (i % 2),
    offset: lane * 1_000_000 + i,
    service: `s-${i % 5}`,
    host: 'paged',
  }));
}

async function page(routes: DirectRoutes, limit: number, cursor: string | null | undefined): Promise<Page> {
  const suffix = typeof cursor === 'string' ? `&cursor=${cursor}` : '';
  for (let attempt = 1; ; attempt++) {
    try {
      const answer = await routes.get(`/logs?host=paged&limit=${limit}${suffix}`);
      return JSON.parse(await textOf(answer)) as Page;
    } catch (error) {
      // The time limit of a query can pass on a machine that stands still; the same page may be asked for again.
      const isSlow = error instanceof MillraceError && error.code === 'unprocessable';
      if (!isSlow || attempt === MAX_ATTEMPTS) throw error;
    }
  }
}

async function everything(routes: DirectRoutes): Promise<string[]> {
  const text = await textOf(await routes.get('/logs?host=paged', {}, { accept: 'application/x-ndjson' }));
  const lines = text.trimEnd().split('\n');
  expect(JSON.parse(lines.pop() ?? '')).toEqual({ end: true, rows: lines.length });
  return lines.map((line) => (JSON.parse(line) as { id: string }).id);
}

async function lastOf(routes: DirectRoutes): Promise<Page> {
  let last = await page(routes, 1000, undefined);
  while (last.page.next !== null) last = await page(routes, 1000, last.page.next);
  return last;
}

interface Walk {
  readonly limit: number;
  readonly relation: 'next' | 'prev';
  readonly cursor: string | null | undefined;
}

/** Ids in the order of walking; pages that go back are turned round. */
async function walk(routes: DirectRoutes, { limit, relation, cursor }: Walk): Promise<string[]> {
  const ids: string[] = [];
  let next = cursor;
  // What arrives can make a walk longer, but not without end.
  for (let count = 0; next !== null; count++) {
    expect(count).toBeLessThan((2 * ROWS) / limit + 10);
    const { data, page: around } = await page(routes, limit, next);
    expect(data.length).toBeLessThanOrEqual(limit);
    const found = data.map(({ id }) => id);
    ids.push(...(relation === 'prev' ? found.toReversed() : found));
    next = around[relation];
  }
  return ids;
}

/** Rows of new lanes, some of the very microsecond of the ties; resolves with how many. */
async function arrive(store: Store, isOver: () => boolean): Promise<number> {
  let count = 0;
  for (let i = 1; i <= ARRIVALS && !isOver(); i++) {
    await insertLogs(store, rowsOf(20, 10, 10 * i));
    count += 20;
    await new Promise((resolve) => setTimeout(resolve, ARRIVAL_PAUSE_MS));
  }
  return count;
}
