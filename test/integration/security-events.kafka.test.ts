/** Lines as sshd, sudo and PAM write them, through Kafka and back out of `GET /logs`. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createTopic, kafkaBrokers, produce, uniqueName } from '../support/kafka.ts';
import { type Program, startProgram } from '../support/program.ts';
import { until } from '../support/until.ts';

const DAY_MS = 86_400_000;
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
/** Whole seconds, a day ago: the time of all records, against which a year is judged. */
const RECORD_MS = Math.floor(Date.now() / 1000) * 1000 - DAY_MS;

/** `Nov  1 09:00:00` of RFC 3164. */
function syslogTime(ms: number): string {
  const time = new Date(ms);
  const clock = time.toISOString().slice(11, 19);
  return `${MONTHS[time.getUTCMonth()]} ${String(time.getUTCDate()).padStart(2, ' ')} ${clock}`;
}

/** The same date and clock a year before. */
function yearBefore(ms: number): number {
  const time = new Date(ms);
  return time.setUTCFullYear(time.getUTCFullYear() - 1);
}

const HOUR_AGO = RECORD_MS - 3_600_000;
/** Ten days ahead of the record cannot be: it was last year. */
const AHEAD = RECORD_MS + 10 * DAY_MS;

interface Expected {
  readonly ms: number;
  readonly fields: Readonly<Record<string, unknown>>;
}

const LINES: readonly (readonly [line: string, expected: Expected])[] = [
  [
    `${syslogTime(HOUR_AGO)} gate-1 sshd[24200]: Failed password for invalid user webmaster from 203.0.113.31 port 38926 ssh2`,
    {
      ms: HOUR_AGO,
      fields: {
        host: 'gate-1',
        pid: 24200,
        user: 'webmaster',
        source_ip: '203.0.113.31',
        source_port: 38926,
        outcome: 'failure',
      },
    },
  ],
  [
    `${syslogTime(HOUR_AGO + 1000)} gate-1 sshd[24201]: Accepted publickey for deploy from 2001:db8::7 port 50022 ssh2: ED25519 SHA256:abc`,
    {
      ms: HOUR_AGO + 1000,
      fields: { host: 'gate-1', pid: 24201, user: 'deploy', source_ip: '2001:db8::7', outcome: 'success' },
    },
  ],
  [
    `<38>${syslogTime(HOUR_AGO + 2000)} gate-2 sshd[7]: Invalid user admin from 198.51.100.8 port 4000\r\n`,
    { ms: HOUR_AGO + 2000, fields: { host: 'gate-2', pid: 7, user: 'admin', source_ip: '198.51.100.8' } },
  ],
  [
    `${syslogTime(HOUR_AGO + 3000)} gate-1 sshd[24203]: pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=203.0.113.99  user=root`,
    {
      ms: HOUR_AGO + 3000,
      fields: { host: 'gate-1', pid: 24203, user: 'root', source_ip: '203.0.113.99', outcome: 'failure' },
    },
  ],
  [
    `${syslogTime(HOUR_AGO + 4000)} gate-1 sshd[24204]: message repeated 5 times: [ Failed password for root from 203.0.113.99 port 43250 ssh2]`,
    {
      ms: HOUR_AGO + 4000,
      fields: { pid: 24204, user: 'root', source_ip: '203.0.113.99', outcome: 'failure' },
    },
  ],
  [
    `${syslogTime(AHEAD)} gate-1 sshd[24205]: Received disconnect from 192.0.2.4: 11: Bye Bye [preauth]`,
    { ms: yearBefore(AHEAD), fields: { host: 'gate-1', pid: 24205, source_ip: '192.0.2.4' } },
  ],
];

describe('sshd lines sent to a topic', () => {
  let dataDir = '';
  let topic = '';
  let program: Program;
  let logs: Record<string, unknown>[] = [];
  beforeAll(async () => {
    [dataDir, topic] = await Promise.all([
      mkdtemp(join(tmpdir(), 'millrace-sshd-')),
      createTopic('security-events', 6),
    ]);
    program = await startProgram({
      dataDir,
      settings: {
        KAFKA_BROKERS: kafkaBrokers().join(','),
        KAFKA_TOPICS: topic,
        KAFKA_GROUP: uniqueName('sshd'),
      },
    });
    const timestamp = String(RECORD_MS);
    await produce(
      topic,
      LINES.map(([value], i) => ({ value, timestamp, partition: i % 6 })),
    );
    await program.ready();
    const read = async (): Promise<void> => {
      ({ data: logs } = await program.get(`/logs?source=${topic}&from=1970-01-01T00:00:00Z&limit=1000`));
    };
    const areAllThere = async (): Promise<boolean> => {
      await read();
      return logs.length === LINES.length;
    };
    await until(areAllThere, { timeoutMs: 20_000, seen: () => ({ logs, printed: program.printed }) });
  });
  afterAll(async () => {
    program.signal('SIGTERM');
    await program.exited;
    await rm(dataDir, { recursive: true, force: true });
  });

  test.each(LINES.map(([line, expected], i) => [line.slice(0, 90), { line, expected, i }] as const))(
    '%s…',
    (_name, { line, expected, i }) => {
      const message = line.slice(line.indexOf(']: ') + 3).trimEnd();
      const log = logs.find((candidate) => candidate['message'] === message);
      expect(log).toMatchObject({
        timestamp: new Date(expected.ms).toISOString().replace('Z', '000Z'),
        process: 'sshd',
        service: 'sshd',
        source: { kind: 'kafka', topic, partition: i % 6, offset: 0 },
        ...expected.fields,
      });
    },
  );

  test.each([
    ['user=root', 2],
    ['source_ip=203.0.113.99', 2],
    ['host=gate-2', 1],
    ['q=webmaster', 1],
  ])('GET /logs?%s finds them', async (filter, count) => {
    const { data } = await program.get(`/logs?${filter}&source=${topic}&from=1970-01-01T00:00:00Z`);
    expect(data).toHaveLength(count);
  });

  test('the newest come first', () => {
    const times = logs.map((log) => String(log['timestamp']));
    expect(times).toEqual(times.toSorted().toReversed());
  });
});
