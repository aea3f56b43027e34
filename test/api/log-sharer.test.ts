/** Sharing logs out to tails, some of which have filters that take long. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { parseFilter } from '../../src/api/filter/parse-filter.ts';
import type { LogRow } from '../../src/api/logs/log-shape.ts';
import { LogSharer } from '../../src/api/tail/log-sharer.ts';
import { QueueBudget } from '../../src/api/tail/queue-budget.ts';
import { type PlacedLog, TailGroup } from '../../src/api/tail/tail-group.ts';
import { markAt, startOf } from '../../src/api/tail/tail-mark.ts';
import { TailMember } from '../../src/api/tail/tail-member.ts';

const POSITION = startOf(1_800_000_000);
/** Every 50 logs come to two; what the filters take, in slices of 5 ms, to more. */
const MIN_TURNS = 20;

/** Digits and letters in no order, the same every time. */
function randomDigits(count: number): string {
  let seed = 7;
  const next = (): string => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    return (seed >> 16) % 2 === 0 ? '0' : 'a';
  };
  return Array.from({ length: count }, next).join('');
}

function log(message: string): PlacedLog {
  const place = { timestamp_us: 1, ingested_us: 1, source: 1, partition: 0, offset: 0 };
  const texts = {
    message,
    service: 's',
    host: '',
    environment: '',
    source_address: '::',
    template_text: '0',
  };
  const absent = {
    cpu_usage: null,
    memory_used_text: null,
    memory_total_text: null,
    memory_percentage: null,
  };
  const network = { destination_address: '::', rx_text: null, tx_text: null };
  const row = { ...place, ...texts, ...absent, ...network, threats: [], metadata: {} } as unknown as LogRow;
  return { row, source: undefined, position: POSITION, mark: markAt(POSITION) };
}

function group(filter: string, refused: string[] = []) {
  const tails = new TailGroup({ filter: parseFilter(filter), scope: {} }, Buffer.alloc(32), () =>
    refused.push(filter),
  );
  const member = new TailMember({
    maxLogs: 1e6,
    maxCharacters: 1e9,
    budget: new QueueBudget(1e9),
    cursor: () => '',
  });
  tails.members.add(member);
  return { tails, member };
}

/** How often others had a turn meanwhile. */
async function countTurns(work: Promise<unknown>): Promise<number> {
  const state = { isDone: false };
  let turnCount = 0;
  void work.finally(() => {
    state.isDone = true;
  });
  while (!state.isDone) {
    await nextTurn();
    turnCount++;
  }
  return turnCount;
}

it('lets others have turns, ends the costliest tails, and gives all others every log', async () => {
  const refused: string[] = [];
  const costly = Array.from({ length: 12 }, (_, i) => group(String.raw`message ~ "\\d.{90}~~${i}"`, refused));
  const modest = group('message ~ "^[0a]+$"', refused);
  const plain = group('service = s', refused);
  const groups = [...costly, modest, plain].map(({ tails }) => tails);
  const logs = Array.from({ length: 60 }, () => log(randomDigits(500)));
  const sharing = new LogSharer().shareOut(logs, groups, new AbortController().signal);
  expect(await countTurns(sharing)).toBeGreaterThan(MIN_TURNS);
  expect(await sharing).toBe(true);
  expect(refused.length).toBeGreaterThan(0);
  expect(refused.every((filter) => filter.includes('~~'))).toBe(true);
  expect(costly.filter(({ member }) => member.refused !== undefined).length).toBe(refused.length);
  for (const { member } of [modest, plain]) {
    expect(member.refused).toBeUndefined();
    let text = '';
    while (!member.isEmpty) text += member.take();
    expect(text.split('event: log')).toHaveLength(61);
  }
}, 30_000);

it('ends a tail for which one log takes too long', async () => {
  const refused: string[] = [];
  const { tails, member } = group(String.raw`message ~ "\\d.{90}~~1"`, refused);
  await new LogSharer().shareOut([log(randomDigits(20_000))], [tails], new AbortController().signal);
  expect(refused).toHaveLength(1);
  expect(member.refused?.code).toBe('query_too_costly');
});

it('ends none for long texts whose expressions are simple', async () => {
  const { tails, member } = group('message ~ "(?i)(failed|denied).*[0-9]+ times"');
  const text = `${'漢字 of every kind, denied '.repeat(4000)}${String.fromCodePoint(...Array.from({ length: 5000 }, (_, i) => 0x4e00 + i))}`;
  await new LogSharer().shareOut([log(text), log(`${text} 7 times`)], [tails], new AbortController().signal);
  expect(member.refused).toBeUndefined();
  expect(member.take().split('event: log')).toHaveLength(2);
});
