/**
 * What one user has running and waiting is bounded, and leaves the places of others alone.
 */
import { expect, it } from 'vitest';
import { QuerySlots } from '../../../src/api/limits/query-slots.ts';

const RUNNING = 4;
const WAITING = 200;

interface Task {
  readonly result: Promise<void>;
  readonly end: () => void;
}

function setUp(maxWaitMs = 5000) {
  const slots = new QuerySlots(maxWaitMs);
  const begun: string[] = [];
  const run = (username: string, name: string, signal = new AbortController().signal): Task => {
    let end = (): void => undefined;
    const gate = new Promise<void>((resolve) => {
      end = resolve;
    });
    const result = slots.run(username, signal, async () => {
      begun.push(name);
      await gate;
    });
    return { result, end };
  };
  return { run, begun };
}

const settle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0));

it('four of a user run, the others in their order, and nobody waits for another user', async () => {
  const { run, begun } = setUp();
  const tasks = ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => run('ann', name));
  const other = run('bob', 'other');
  await settle();
  expect(begun).toEqual(['a', 'b', 'c', 'd', 'other']);
  tasks[1]?.end();
  await settle();
  expect(begun.at(-1)).toBe('e');
  for (const { end } of [...tasks, other]) end();
  await Promise.all([...tasks, other].map(({ result }) => result));
  expect(begun.at(-1)).toBe('f');
});

it('who waits too long, or among too many, is refused with when to come back', async () => {
  const { run, begun } = setUp(30);
  const running = Array.from({ length: RUNNING }, () => run('ann', 'running'));
  const waiting = Array.from({ length: WAITING }, () => run('ann', 'waiting'));
  const refused = { code: 'too_many_requests', retryAfterSeconds: 1 };
  await expect(run('ann', 'more').result).rejects.toMatchObject(refused);
  const ends = await Promise.allSettled(waiting.map(({ result }) => result));
  expect(ends).toEqual(
    waiting.map(() => ({ status: 'rejected', reason: expect.objectContaining(refused) as object })),
  );
  for (const { end } of running) end();
  await Promise.all(running.map(({ result }) => result));
  expect(begun).toHaveLength(RUNNING);
  const again = run('ann', 'again');
  again.end();
  await again.result;
  expect(begun.at(-1)).toBe('again');
});

it('who leaves gives up its place in the queue', async () => {
  const { run, begun } = setUp();
  const running = Array.from({ length: RUNNING }, () => run('ann', 'running'));
  const leaving = new AbortController();
  const left = run('ann', 'left', leaving.signal);
  const next = run('ann', 'next');
  leaving.abort(new Error('gone'));
  await expect(left.result).rejects.toThrow('gone');
  for (const { end } of [...running, next]) end();
  await Promise.all([...running, next].map(({ result }) => result));
  expect(begun).toEqual(['running', 'running', 'running', 'running', 'next']);
});
