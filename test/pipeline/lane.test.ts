import { describe, expect, it } from 'vitest';
import { type Chunk, createChunk, createLostChunk, refuseChunk } from '../../src/pipeline/chunk.ts';
import { Lane } from '../../src/pipeline/lane.ts';
import { NOTHING_PRESENT } from '../../src/pipeline/present.ts';

function lane(): Lane {
  return new Lane(
    { source: 1, partition: 2, name: 'logs', epoch: 3, startOffset: 100 },
    { present: NOTHING_PRESENT },
  );
}

function chunk(fromOffset: number, toOffset: number): Chunk {
  const stretch = { memory: new SharedArrayBuffer(0), start: 0, length: 0 };
  return {
    ...createChunk({ stretch, fromOffset, toOffset, receivedUs: 0 }),
    outcome: {
      receivedCount: toOffset - fromOffset,
      storedCount: toOffset - fromOffset - 1,
      alreadyPresentCount: 0,
      lostUpstreamCount: 0,
      filtered: { blank: 1 },
      deadLettered: {},
      deadLetterOffsets: new Float64Array(),
      deadLetterNotes: [],
    },
  };
}

describe('Lane', () => {
  it('advances the stored offset only over a contiguous head', () => {
    const subject = lane();
    const [a, b, c] = [chunk(100, 110), chunk(110, 120), chunk(120, 130)];
    for (const each of [a, b, c]) subject.push(each);
    b.state = 'stored';
    expect(subject.takeStored()).toEqual([]);
    expect(subject.storedOffset).toBe(100);
    a.state = 'stored';
    expect(subject.takeStored()).toEqual([a, b]);
    expect(subject.storedOffset).toBe(120);
    expect(subject.takenOffset).toBe(130);
  });

  it('hands parsed chunks over in order, whatever order the workers answer in', () => {
    const subject = lane();
    const [a, b] = [chunk(100, 110), chunk(110, 120)];
    subject.push(a);
    subject.push(b);
    b.state = 'parsed';
    expect(subject.takeWritable()).toEqual([]);
    a.state = 'parsed';
    expect(subject.takeWritable()).toEqual([a, b]);
  });

  it('keeps its counts between ledger rows: received = stored + filtered + dead-lettered', () => {
    const subject = lane();
    const [a, b] = [chunk(100, 110), chunk(110, 120)];
    subject.push(a);
    subject.push(b);
    a.state = 'stored';
    subject.takeStored();
    const entry = subject.ledgerEntry();
    expect(entry).toMatchObject({
      fromOffset: 100,
      toOffset: 110,
      receivedCount: 10,
      storedCount: 9,
      filtered: { blank: 1 },
    });
    b.state = 'stored';
    subject.takeStored();
    subject.committed(entry!);
    expect(subject.ledgerEntry()).toMatchObject({
      fromOffset: 110,
      toOffset: 120,
      receivedCount: 10,
      storedCount: 9,
    });
    expect(entry?.filtered).toEqual({ blank: 1 });
  });

  it('names offsets that Kafka had deleted in the ledger, apart from what was received', () => {
    const subject = lane();
    subject.push(chunk(100, 110));
    subject.push(createLostChunk({ fromOffset: 110, toOffset: 150, presentCount: 3 }));
    expect(subject.takeStored()).toEqual([]);
    const [first] = subject.chunks;
    if (first !== undefined) first.state = 'stored';
    subject.takeStored();
    expect(subject.ledgerEntry()).toMatchObject({
      fromOffset: 100,
      toOffset: 150,
      receivedCount: 13,
      alreadyPresentCount: 3,
      lostUpstreamCount: 37,
    });
  });

  it('hands what is present to the tasks of its range only, until it has passed it', () => {
    const rows = (offsets: number[]) => ({
      offsets: Float64Array.from(offsets),
      times: Float64Array.from(offsets, (offset) => offset * 1000),
    });
    const spec = { source: 1, partition: 2, name: 'logs', epoch: 3, startOffset: 100 };
    const subject = new Lane(spec, { present: { logs: rows([101, 105, 112]), dead_letters: rows([106]) } });
    expect(subject.presentCount(101, 107)).toBe(3);
    const [a, b] = [chunk(100, 106), chunk(106, 112)];
    expect(subject.taskFor(a).present?.logs.offsets).toEqual(Float64Array.of(101, 105));
    expect(subject.taskFor(b).present).toEqual({ logs: rows([]), dead_letters: rows([106]) });
    expect(subject.taskFor(chunk(113, 120)).present).toBeUndefined();
    subject.resume({ ...subject.token, epoch: 4, present: NOTHING_PRESENT });
    expect(subject.taskFor(a).present).toBeUndefined();
    expect(subject.token).toEqual({ source: 1, partition: 2, epoch: 4 });
  });

  it('stays contiguous when a chunk is split in place', () => {
    const subject = lane();
    const whole = chunk(100, 110);
    subject.push(whole);
    subject.push(chunk(110, 120));
    subject.replace(whole, refuseChunk(whole, { reason: 'insert_refused', detail: 'x' }));
    expect(whole.shared?.userCount).toBe(2);
    expect(subject.chunks.map((each) => each.fromOffset)).toEqual([100, 105, 110]);
    expect(subject.takenOffset).toBe(120);
  });
});
