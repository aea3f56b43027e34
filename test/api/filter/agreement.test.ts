/**
 * Filters on a real ClickHouse: the condition and the predicate choose the same rows, nothing of a client becomes SQL,
 * and the words that a filter asks for can be found by a text index.
 */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Filter } from '../../../src/api/filter/ast.ts';
import { canonicalFilter, filterKey } from '../../../src/api/filter/canonical.ts';
import type { StoredLog } from '../../../src/api/filter/fields.ts';
import { toPredicate } from '../../../src/api/filter/filter-predicate.ts';
import { addFilter } from '../../../src/api/filter/filter-sql.ts';
import { parseFilter } from '../../../src/api/filter/parse-filter.ts';
import { readLogFilter } from '../../../src/api/logs/log-filter.ts';
import { LOG_SELECT, type LogRow } from '../../../src/api/logs/log-shape.ts';
import { SqlConditions } from '../../../src/api/sql-conditions.ts';
import { startClickHouse, type TestClickHouse } from '../../support/clickhouse.ts';
import { type ApiFixture, SERVERS, startApi } from '../api-fixture.ts';
import { insertLogs, insertSources, type LogRowInput } from '../log-rows.ts';
import * as values from './filter-texts.ts';

const ROWS = 300;
const SEED = 7;
const SOURCES = new Map([
  [1, { kind: 'kafka', topic: 'logs' }],
  [2, { kind: 'http', topic: '' }],
]);

const text = fc.constantFrom(...values.TEXTS);
const count = fc.constantFrom(...values.COUNTS);
const address = fc.constantFrom(...values.ADDRESSES);
const largeCount = fc.option(fc.constantFrom(...values.LARGE_COUNTS));
const float = fc.option(fc.constantFrom(...values.FLOATS));
const levels = fc.constantFrom(...values.LEVELS);
const severity = fc.constantFrom('LOW', 'MEDIUM', 'HIGH', 'CRITICAL', '');

const rows: fc.Arbitrary<Omit<LogRowInput, 'offset'>> = fc.record({
  timestamp: fc.constantFrom(...values.TIMES),
  source: fc.constantFrom(1, 2),
  partition: fc.constantFrom(0, 22),
  host: text,
  service: text,
  environment: text,
  level: levels,
  severity_number: fc.constantFrom(0, 1, 9, 10, 12, 13, 16, 17, 18, 24),
  message: fc.oneof(
    text,
    fc.tuple(text, text).map((parts) => parts.join(' ')),
  ),
  trace_id: text,
  span_id: text,
  correlation_id: text,
  source_ip: address,
  source_port: count,
  destination_ip: address,
  destination_port: count,
  user: text,
  process: text,
  pid: count,
  outcome: text,
  http_method: text,
  http_path: text,
  http_status: count,
  geo_country: text,
  geo_city: text,
  cpu_usage: float,
  memory_used: largeCount,
  memory_total: largeCount,
  memory_percentage: float,
  network_rx_bytes: largeCount,
  network_tx_bytes: largeCount,
  threats: fc.array(fc.record({ name: text, severity, tags: fc.array(text, { maxLength: 2 }) }), {
    maxLength: 2,
  }),
  template_id: fc.constantFrom(...values.LARGE_COUNTS),
  metadata: fc.dictionary(
    fc.constantFrom(...values.KEYS.filter((key) => key !== '__proto__')),
    fc.oneof(text, fc.constantFrom(...values.NUMBERS_AS_TEXT)),
    { maxKeys: 4 },
  ),
});

let clickhouse: TestClickHouse;
let logs: StoredLog[];

beforeAll(async () => {
  clickhouse = await startClickHouse();
  const { store } = clickhouse;
  await insertSources(store);
  await insertLogs(store, fc.sample(rows, { seed: SEED, numRuns: ROWS }) as LogRowInput[]);
  const stored = await store.query<LogRow>(`SELECT ${LOG_SELECT} FROM logs`);
  logs = stored.map((row) => ({ row, source: SOURCES.get(row.source) }));
});

afterAll(async () => {
  await clickhouse.stop();
});

/** Offsets of the rows that each filter chooses, all in one query. */
async function chosenBySql(filters: readonly Filter[]): Promise<number[][]> {
  const conditions = filters.map((_, index) => new SqlConditions(`f${index}_`));
  const branches = filters.map((filter, index) => {
    const where = conditions[index]!;
    addFilter(where, filter);
    return `SELECT ${index} AS filter, arraySort(groupArray(offset)) AS offsets FROM logs WHERE ${where.sql}`;
  });
  const params = Object.assign({}, ...conditions.map((where) => where.params)) as Record<string, unknown>;
  const found = await clickhouse.store.query<{ filter: number; offsets: number[] }>(
    branches.join(' UNION ALL '),
    params,
  );
  return found.toSorted((a, b) => a.filter - b.filter).map(({ offsets }) => offsets);
}

function chosenByPredicate(filter: Filter): number[] {
  const predicate = toPredicate(filter);
  const chosen = logs.filter(predicate).map(({ row }) => row.offset);
  return chosen.toSorted((a, b) => a - b);
}

async function expectAgreement(
  sources: readonly string[],
  read: (source: string) => Filter,
): Promise<number> {
  const filters = sources.map(read);
  const bySql = await chosenBySql(filters);
  const compared = sources.map((source, index) => ({ source, offsets: bySql[index] }));
  expect(compared).toEqual(
    sources.map((source, index) => ({ source, offsets: chosenByPredicate(filters[index]!) })),
  );
  for (const filter of filters) {
    const canonical = canonicalFilter(filter);
    expect(chosenByPredicate(canonical)).toEqual(chosenByPredicate(filter));
    expect(filterKey(canonical)).toBe(filterKey(filter));
  }
  return new Set(bySql.map((offsets) => offsets.length)).size;
}

const PARAMETERS = [
  'host=web-1&host=',
  'level=warn&level=UNSET&min_level=info',
  'min_level=notice',
  'source=kafka&source=http',
  'ip=203.0.113.9&destination_ip=2001:db8::5',
  'source_ip=10.0.0.0/8',
  'threat=web-1&threat_severity=high&threat_severity=low',
  'attr.http.agent=&attr.constructor=',
  'attr.__proto__=x',
  'q=failed+%22for+root%22+203.0.113.9',
  'q=%22by+peer%22',
  'q=%22y+peer%22',
  'q=%E2%84%AAELVIN',
  'q=%22',
  'q=',
  'q=%25_.*',
  'host=web-1&filter=level+%3D+warn+or+q+exists'.replace('q+exists', 'user+exists'),
];

describe('a filter as SQL and as a predicate', () => {
  it('chooses the same rows, whatever is asked', async () => {
    let sizes = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(values.filterTexts, { minLength: 40, maxLength: 40 }), async (sources) => {
        sizes += await expectAgreement(sources, parseFilter);
      }),
      { numRuns: 4, endOnFailure: true },
    );
    // Filters that choose nothing or everything would agree whatever they did.
    expect(sizes).toBeGreaterThan(40);
  }, 120_000);

  it('chooses the same rows by every kind of regular expression', async () => {
    const sources = fc.sample(values.patterns, 100).map((pattern) => `message ~ ${values.quoted(pattern)}`);
    const sizes = await expectAgreement(sources, parseFilter);
    expect(sizes).toBeGreaterThan(10);
  }, 120_000);

  it('chooses the same rows by query parameters', async () => {
    await expectAgreement(PARAMETERS, (query) => readLogFilter(new URLSearchParams(query)));
  });

  it('takes the largest expressions that the limits allow', async () => {
    const largest = ['[^a]{100}[^b]{40}', 'x{100}', `${'a|'.repeat(90)}b`, '(((((((((a)))))))))*'];
    await expectAgreement(
      largest.map((pattern) => `message ~ ${values.quoted(pattern)}`),
      parseFilter,
    );
  });
});

const HOSTILE = [
  "INJECT') OR 1=1 --",
  'INJECT\\',
  "INJECT\\') UNION ALL SELECT * FROM users --",
  '{INJECT:String}',
  '?1INJECT',
  "INJECT', url('http://127.0.0.1/', CSV, 'x String')) INTO OUTFILE 'x'",
  'INJECT\0\u2028\n;DROP TABLE logs',
  '$INJECT$ $& $1',
  '/*INJECT*/ `a` "b"',
];
/** Everywhere that a client's text can stand. */
const POSITIONS: readonly ((text: string) => string)[] = [
  (text) => `host = ${values.quoted(text)}`,
  (text) => `host != ${values.quoted(text)}`,
  (text) => `host in (a, ${values.quoted(text)})`,
  (text) => `host contains ${values.quoted(text)}`,
  (text) => `message contains ${values.quoted(text)}`,
  (text) => `host prefix ${values.quoted(text)}`,
  (text) => `host ~ ${values.quoted(text.replaceAll(/[!-/:-@[-`{-~]/g, String.raw`\$&`))}`,
  (text) => `threats.tags ~ ${values.quoted(`[${text.replaceAll(/[!-/:-@[-`{-~]/g, String.raw`\$&`)}]+`)}`,
  (text) => `message has ${values.quoted(text)}`,
  (text) => `message has ${values.quoted(`"${text.replaceAll('"', '')}"`)}`,
  (text) => `level = ${values.quoted(text)}`,
  (text) => `source = ${values.quoted(text)}`,
  (text) => `threats.name = ${values.quoted(text)}`,
  (text) => `threats.severity = ${values.quoted(text)}`,
  (text) => `attr.${values.quoted(text)} = ${values.quoted(text)}`,
  (text) => `attr.${values.quoted(text)} exists`,
  (text) => `attr.${values.quoted(text)} > 1`,
  (text) => `attr.${values.quoted(text)} ~ a`,
];
/** Where only names, numbers, addresses, times and marks can stand. */
const CLOSED: readonly ((text: string) => string)[] = [
  (text) => text,
  (text) => `${text} = a`,
  (text) => `host ${text} a`,
  (text) => `host = a ${text}`,
  (text) => `host = a ${text} user = b`,
  (text) => `pid = ${values.quoted(text)}`,
  (text) => `pid > ${values.quoted(`1 ${text}`)}`,
  (text) => `cpu_usage > ${values.quoted(text)}`,
  (text) => `attr.a > ${values.quoted(text)}`,
  (text) => `timestamp > ${values.quoted(text)}`,
  (text) => `source_ip = ${values.quoted(text)}`,
  (text) => `source_ip = ${values.quoted(`10.0.0.0/8${text}`)}`,
  (text) => `level > ${values.quoted(text)}`,
  (text) => `threats.severity > ${values.quoted(text)}`,
];

describe('what a client writes', () => {
  it.each(HOSTILE)('never becomes SQL: %j', async (text) => {
    const sources = POSITIONS.map((position) => position(text));
    for (const source of sources) {
      const conditions = new SqlConditions();
      addFilter(conditions, parseFilter(source));
      expect(conditions.sql).not.toMatch(/inject/i);
      // A class of characters goes there character by character.
      expect(JSON.stringify(conditions.params)).toMatch(/inject|\\x\{/i);
    }
    await expectAgreement(sources, parseFilter);
    for (const position of CLOSED) {
      expect(() => parseFilter(position(text))).toThrow(expect.objectContaining({ code: 'bad_request' }));
    }
  });

  it('is found where it stands as given', async () => {
    const { store } = clickhouse;
    const keyed = HOSTILE.map((text, index) => ({
      timestamp: '2026-01-04 00:00:00',
      offset: 1000 + index,
      host: text,
      metadata: { [text]: text },
    }));
    await insertLogs(store, keyed);
    const filters = HOSTILE.flatMap((text) => [
      parseFilter(`host = ${values.quoted(text)}`),
      parseFilter(`attr.${values.quoted(text)} = ${values.quoted(text)}`),
    ]);
    expect(await chosenBySql(filters)).toEqual(
      HOSTILE.flatMap((_, index) => [[1000 + index], [1000 + index]]),
    );
    await store.command(`ALTER TABLE logs DELETE WHERE offset >= 1000 SETTINGS mutations_sync = 1`);
  });
});

describe('the words of a filter', () => {
  it('are looked up in a text index on the message in lower case', async () => {
    const { store } = clickhouse;
    await store.command(`CREATE TABLE indexed (message String, host String,
      INDEX words lower(message) TYPE text(tokenizer = 'splitByNonAlpha')) ENGINE = MergeTree ORDER BY tuple()`);
    await store.command(
      `INSERT INTO indexed SELECT concat('Word', toString(number), ' By peer'), 'h' FROM numbers(50000)`,
    );
    const granules = async (query: string): Promise<number> => {
      const conditions = new SqlConditions();
      addFilter(conditions, readLogFilter(new URLSearchParams(query)));
      const lines = await store.query<{ explain: string }>(
        `EXPLAIN indexes = 1 SELECT message FROM indexed WHERE ${conditions.sql}`,
        conditions.params,
      );
      const read = lines.map(({ explain }) => /Granules: (\d+)/.exec(explain)?.[1]).filter((found) => found);
      return Number(read.at(-1));
    };
    expect(await granules('filter=host=h')).toBeGreaterThan(5);
    expect(await granules('q=WORD777')).toBe(1);
    expect(await granules('q=%22word777+by%22&host=h')).toBe(1);
    expect(await granules('filter=host=h and message has "word777 peer"')).toBe(1);
    expect(await granules('filter=message has word777 or message has word778')).toBe(1);
    expect(await granules('filter=message contains " nothing777 "')).toBe(0);
    await store.command('DROP TABLE indexed');
  });
});

describe.each(SERVERS)('filter= on %s', (kind) => {
  let api: ApiFixture;

  beforeAll(async () => {
    api = await startApi(kind, clickhouse.store);
  });

  afterAll(async () => {
    await api.stop();
  });

  it('answers with the logs that it is true of', async () => {
    const filter = `(level >= warn or message ~ "root|peer") and not source_ip = 10.0.0.0/8 and attr.a not exists`;
    const { status, body } = await api.get(
      `/logs?limit=1000&host=web-1&filter=${encodeURIComponent(filter)}`,
    );
    expect(status).toBe(200);
    const offsets = (body.data as { source: { offset: number } }[]).map(({ source }) => source.offset);
    const expected = chosenByPredicate(parseFilter(`host = web-1 and ${filter}`));
    expect(offsets.toSorted((a, b) => a - b)).toEqual(expected);
    expect(expected.length).toBeGreaterThan(0);
  });

  it('says where it went wrong, and what was probably meant', async () => {
    const { status, body } = await api.get(`/logs?filter=${encodeURIComponent('host = a and levle = warn')}`);
    expect(status).toBe(400);
    expect(body.detail).toBe(
      'filter, character 14: there is no field "levle" (metadata is attr.<key>). Did you mean level?\n' +
        'host = a and levle = warn\n             ^',
    );
    expect(body.errors).toEqual([
      { detail: expect.any(String) as string, parameter: 'filter', position: 13, suggestion: 'level' },
    ]);
  });

  it('takes a long filter, and refuses one that is too long or given twice', async () => {
    const long = `host in (${Array.from({ length: 100 }, (_, i) => `a-rather-long-name-${i}`).join(', ')})`;
    expect((await api.get(`/logs?filter=${encodeURIComponent(long)}`)).status).toBe(200);
    const tooLong = `host = ${'a'.repeat(4000)}`;
    for (const query of [`filter=${encodeURIComponent(tooLong)}`, 'filter=pid%3D1&filter=pid%3D2']) {
      const { status, body } = await api.get(`/logs?${query}`);
      expect([status, body.detail]).toEqual([400, expect.stringContaining('filter')]);
    }
  });

  it('is bound into the cursor', async () => {
    const first = await api.get('/logs?limit=1&filter=pid%3E0');
    const cursor = first.body.page.next as string;
    expect((await api.get(`/logs?limit=1&filter=pid%3E0&cursor=${cursor}`)).status).toBe(200);
    expect((await api.get(`/logs?limit=1&filter=pid%3E1&cursor=${cursor}`)).status).toBe(400);
  });
});
