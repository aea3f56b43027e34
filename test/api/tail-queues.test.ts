/** What waits for the clients of live tails: each has its bound, and all have one together. */
import { expect, it } from 'vitest';
import { HeldText, QueueBudget } from '../../src/api/tail/queue-budget.ts';
import { markAt, startOf } from '../../src/api/tail/tail-mark.ts';
import { type SharedLog, TailMember } from '../../src/api/tail/tail-member.ts';

const LIMITS = { maxLogs: 1000, maxCharacters: 524_288 };
const TEXT_CHARACTERS = 1000;
const MAX_BYTES = 200_000;

function member(budget: QueueBudget, limits = LIMITS): TailMember {
  return new TailMember({ ...limits, budget, cursor: ({ position }) => String(position.timestampUs) });
}

/** As one group shares it; times go by seconds. */
function log(i: number): SharedLog {
  const position = { ...startOf(1_800_000_000), timestampUs: i * 1_000_000 };
  const text = `log ${i}\n`.padStart(TEXT_CHARACTERS, '.');
  return { position, mark: markAt(position), data: '{}', text: new HeldText(text) };
}

function readAll(of: TailMember) {
  let text = '';
  while (!of.isEmpty) text += of.take();
  const logs = [...text.matchAll(/log (\d+)/g)].map(([, i]) => Number(i));
  const gaps = [...text.matchAll(/event: gap\nid: (\d+)\ndata: (.*)/g)].map(([, id, data = '']) => ({
    id: Number(id) / 1_000_000,
    ...(JSON.parse(data) as { count: number; from: string; to: string }),
  }));
  return { logs, gaps };
}

it('is bounded for all together: the slowest lose first, what came last, and are told exactly what', () => {
  const budget = new QueueBudget(MAX_BYTES);
  const [slow, quick] = [member(budget), member(budget)];
  const quickLogs: number[] = [];
  for (let i = 1; i <= 500; i++) {
    const shared = log(i);
    slow.push(shared);
    quick.push(shared);
    if (i % 10 === 0) quickLogs.push(...readAll(quick).logs);
    expect(budget.heldBytes).toBeLessThanOrEqual(MAX_BYTES);
  }
  expect(quickLogs).toEqual(Array.from({ length: 500 }, (_, i) => i + 1));
  const { logs, gaps } = readAll(slow);
  const missed = gaps.reduce((sum, { count }) => sum + count, 0);
  expect(logs.length + missed).toBe(500);
  expect(missed).toBeGreaterThan(300);
  expect(logs).toEqual(logs.toSorted((a, b) => a - b));
  for (const { id, from, to, count } of gaps) {
    expect(Date.parse(to) / 1000).toBe(id);
    expect((Date.parse(to) - Date.parse(from)) / 1000 + 1).toBe(count);
    for (let i = id - count + 1; i <= id; i++) expect(logs).not.toContain(i);
  }
  expect(budget.heldBytes).toBe(0);
});

it('counts a text once that many wait for, and not any more when they have left', () => {
  const budget = new QueueBudget(MAX_BYTES);
  const members = Array.from({ length: 50 }, () => member(budget));
  for (let i = 1; i <= 90; i++) {
    const shared = log(i);
    for (const one of members) one.push(shared);
  }
  expect(budget.heldBytes).toBe(90 * 2 * TEXT_CHARACTERS);
  const [first, ...others] = members;
  for (const other of others) other.close();
  expect(budget.heldBytes).toBe(90 * 2 * TEXT_CHARACTERS);
  expect(first && readAll(first).gaps).toEqual([]);
  expect(budget.heldBytes).toBe(0);
});

it('keeps the bound of each client', () => {
  const one = member(new QueueBudget(1e9), { maxLogs: 10, maxCharacters: 5 * TEXT_CHARACTERS });
  for (let i = 1; i <= 20; i++) one.push(log(i));
  expect(readAll(one)).toMatchObject({ logs: [1, 2, 3, 4, 5], gaps: [{ id: 20, count: 15 }] });
});
