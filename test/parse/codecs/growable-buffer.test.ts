import { describe, expect, test } from 'vitest';
import { GrowableBuffer, SLACK_BYTES } from '../../../src/parse/codecs/growable-buffer.ts';

const MIB = 1024 * 1024;

describe('GrowableBuffer', () => {
  test('keeps its content when it grows, and always leaves the slack', () => {
    const buffer = new GrowableBuffer(10 * MIB);
    buffer.append(Uint8Array.of(1, 2, 3));
    expect(buffer.reserve(5 * MIB)).toBe(true);
    expect([...buffer.bytes.subarray(0, 3)]).toEqual([1, 2, 3]);
    expect(buffer.capacity).toBeGreaterThanOrEqual(3 + 5 * MIB + SLACK_BYTES);
    expect(buffer.view.buffer).toBe(buffer.bytes.buffer);
  });

  test('never passes its cap', () => {
    const buffer = new GrowableBuffer(100);
    expect(buffer.reserve(100)).toBe(true);
    expect(buffer.reserve(101)).toBe(false);
    expect(buffer.append(new Uint8Array(101))).toBe(false);
    expect(buffer.append(new Uint8Array(60))).toBe(true);
    expect(buffer.append(new Uint8Array(41))).toBe(false);
    expect(buffer.length).toBe(60);
  });

  test('gives huge memory back after the second small batch in a row', () => {
    const buffer = new GrowableBuffer(100 * MIB);
    buffer.reserve(50 * MIB);
    buffer.length = 50 * MIB;
    buffer.reset();
    buffer.reset();
    buffer.length = 50 * MIB;
    buffer.reset();
    buffer.reset();
    expect(buffer.capacity).toBeGreaterThan(50 * MIB);
    buffer.reset();
    expect(buffer.capacity).toBeLessThanOrEqual(4 * MIB);
  });

  test('a chunk taken over is let go by reset', () => {
    const buffer = new GrowableBuffer(MIB);
    const chunk = Uint8Array.of(9, 9);
    buffer.append(chunk);
    expect(buffer.bytes).toBe(chunk);
    buffer.reset();
    expect(buffer.bytes).not.toBe(chunk);
    expect(buffer.length).toBe(0);
  });
});
