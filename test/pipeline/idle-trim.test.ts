import { describe, expect, it } from 'vitest';
import { LETTER_KEY_BYTES } from '../../src/encode/letter-seal.ts';
import { collectGarbage, releaseFreedMemory } from '../../src/give-back-memory.ts';
import { IdleTrim } from '../../src/pipeline/idle-trim.ts';
import { createParsePool } from '../../src/pipeline/parse-pool.ts';
import { until } from '../support/until.ts';

const MIB = 1024 * 1024;

describe('IdleTrim', () => {
  it('trims twice per idle time, after two and four looks that found nothing done', () => {
    let doneCount = 0;
    let isIdle = true;
    let trimCount = 0;
    const trim = new IdleTrim({
      pool: {
        trim: () => {
          trimCount += 1;
          return Promise.resolve();
        },
      },
      doneCount: () => doneCount,
      isIdle: () => isIdle,
    });
    const trimsAfter = (looks: number): number => {
      for (let look = 0; look < looks; look++) trim.look();
      return trimCount;
    };
    doneCount = 5;
    expect(trimsAfter(2)).toBe(0);
    expect(trimsAfter(1)).toBe(1);
    expect(trimsAfter(1)).toBe(1);
    expect(trimsAfter(1)).toBe(2);
    expect(trimsAfter(5)).toBe(2);
    doneCount = 6;
    expect(trimsAfter(2)).toBe(2);
    isIdle = false;
    expect(trimsAfter(4)).toBe(2);
    isIdle = true;
    expect(trimsAfter(2)).toBe(3);
  });
});

describe('collectGarbage', () => {
  it('frees buffers that nobody holds any more', async () => {
    const before = process.memoryUsage().arrayBuffers;
    let held = Array.from({ length: 32 }, () => new ArrayBuffer(2 * MIB));
    expect(process.memoryUsage().arrayBuffers - before).toBeGreaterThan(60 * MIB);
    held = [];
    collectGarbage();
    expect(held).toEqual([]);
    // V8 frees them on a thread of its own.
    await until(() => process.memoryUsage().arrayBuffers - before < 4 * MIB, { timeoutMs: 5000 });
  });
});

describe('releaseFreedMemory', () => {
  it('gives back what lies freed between what is held', async () => {
    const buffers = Array.from({ length: 2000 }, () => Buffer.alloc(65_536, 1));
    const held = buffers.filter((_, index) => index % 100 === 0);
    buffers.length = 0;
    collectGarbage();
    const isReleased = async (): Promise<boolean> => {
      await releaseFreedMemory();
      return before - process.memoryUsage.rss() > 64 * MIB;
    };
    const before = process.memoryUsage.rss();
    // V8 frees them on a thread of its own.
    await until(isReleased, { timeoutMs: 10_000 });
    expect(held).toHaveLength(20);
  });
});

describe('ParsePool.trim', () => {
  it('reaches every worker, and they go on working', async () => {
    const pool = createParsePool(2, {
      maxRecordBytes: MIB,
      maxBatchBytes: MIB,
      defaultRetentionDays: 30,
      letterKey: new Uint8Array(LETTER_KEY_BYTES),
    });
    try {
      await pool.trim();
      const memory = new SharedArrayBuffer(3);
      new Uint8Array(memory).set([0x61, 0x0a, 0x62]);
      const body = { memory, start: 0, length: 3, format: 'text', receivedMs: 1 } as const;
      const { recordCount } = await pool.frame({ kind: 'frame', bodies: [body] });
      expect(recordCount).toBe(2);
      await pool.trim();
    } finally {
      await pool.stop();
    }
  });
});
