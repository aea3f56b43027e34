import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Arena, type Stretch } from '../../src/pipeline/arena.ts';

const PAGE = 64 * 1024;

describe('Arena', () => {
  it('hands out stretches that never overlap and takes them back', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.integer({ min: 1, max: 9 * PAGE }), fc.constant(-1)), { maxLength: 80 }),
        (steps) => {
          const arena = new Arena(32 * PAGE);
          const held: Stretch[] = [];
          for (const step of steps) {
            if (step === -1) {
              const first = held.shift();
              if (first !== undefined) arena.release(first);
              continue;
            }
            const stretch = arena.tryTake(step);
            if (stretch === undefined) continue;
            for (const other of held) {
              const isApart =
                stretch.start + stretch.length <= other.start || other.start + other.length <= stretch.start;
              expect(isApart).toBe(true);
            }
            held.push(stretch);
          }
          expect(arena.usedBytes).toBeLessThanOrEqual(arena.capacityBytes);
          for (const stretch of held) arena.release(stretch);
          expect(arena.usedBytes).toBe(0);
        },
      ),
    );
  });

  it('uses no higher pages than what is held at once needs', () => {
    const arena = new Arena(32 * PAGE);
    const held: Stretch[] = [];
    for (let step = 0; step < 100; step++) {
      const stretch = arena.tryTake(2 * PAGE);
      expect(stretch!.start).toBeLessThan(6 * PAGE);
      held.push(stretch!);
      if (held.length === 3) arena.release(held.shift()!);
    }
  });

  it('refuses when it is full and wakes the one who waits when room comes back', async () => {
    const arena = new Arena(16 * PAGE);
    const first = arena.tryTake(8 * PAGE);
    const second = arena.tryTake(8 * PAGE);
    expect(arena.tryTake(1)).toBeUndefined();
    const waiting = arena.released(10_000);
    arena.release(second!);
    await waiting;
    expect(arena.tryTake(8 * PAGE)).toBeDefined();
    expect(first).toBeDefined();
  });

  it('gives one stretch larger than half of it memory of its own, and only one', () => {
    const arena = new Arena(16 * PAGE);
    const huge = arena.tryTake(100 * PAGE);
    expect(huge?.length).toBe(100 * PAGE);
    expect(arena.tryTake(100 * PAGE)).toBeUndefined();
    expect(arena.tryTake(PAGE)).toBeDefined();
    arena.release(huge!);
    expect(arena.tryTake(9 * PAGE)?.length).toBe(9 * PAGE);
  });

  it('waits no longer than it was told to', async () => {
    const startedMs = performance.now();
    await new Arena(PAGE).released(20);
    expect(performance.now() - startedMs).toBeGreaterThanOrEqual(15);
  });
});
