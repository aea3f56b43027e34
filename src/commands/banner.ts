/**
 * What `up` and `api` say when they are ready: where everything is and what to try first.
 */
import type { DemoDay } from '../produce/demo-day.ts';
import { formatCount } from './output.ts';

export interface BannerFacts {
  /** Base address of the API, without a slash at the end. */
  readonly url: string;
  readonly dataDir: string;
  /** Address of an external ClickHouse; undefined: the embedded one. */
  readonly clickhouseUrl?: string | undefined;
  /** Absent: this program takes no logs. */
  readonly kafka?: { readonly brokers: readonly string[]; readonly topics: readonly string[] };
  /** The password made up at this first start; shown once and kept nowhere. */
  readonly newPassword?: string | undefined;
  /** What `--demo` has made. */
  readonly demo?: Pick<DemoDay, 'eventCount' | 'attacker' | 'target'> | undefined;
  /** Marks what matters; identity where there are no colours. */
  readonly emphasize: (text: string) => string;
}

export function readyBanner(facts: BannerFacts): string {
  const { url, emphasize } = facts;
  const lines = [
    '',
    `  ${emphasize('Millrace is ready')}   ${emphasize(url)}`,
    '',
    ...loginLines(facts),
    `  Data        ${facts.dataDir}${facts.clickhouseUrl === undefined ? ' (embedded ClickHouse)' : ''}`,
    ...(facts.clickhouseUrl === undefined ? [] : [`  ClickHouse  ${facts.clickhouseUrl}`]),
    ...(facts.demo === undefined ? kafkaLines(facts) : demoLines(facts.demo)),
    '',
    '  Try it, in another terminal:',
    ...tryLines(facts).map((line) => `    ${line}`),
    '',
    `  Ctrl-C stops it${facts.kafka === undefined ? '.' : '; what was accepted is stored first.'}`,
    '',
  ];
  return lines.join('\n');
}

function loginLines(facts: BannerFacts): string[] {
  const { newPassword, emphasize } = facts;
  if (newPassword === undefined)
    return ['  User        admin (password as set; `millrace user passwd admin` changes it)'];
  return [
    `  User        ${emphasize('admin')}`,
    `  Password    ${emphasize(newPassword)}   (shown only now; \`millrace user passwd admin\` changes it)`,
  ];
}

function kafkaLines({ kafka }: BannerFacts): string[] {
  if (kafka === undefined) return [];
  if (kafka.brokers.length === 0) {
    return ['  Kafka       off (set MILLRACE_KAFKA_BROKERS=host:9092 to read topics)'];
  }
  return [`  Kafka       ${kafka.brokers.join(', ')}, topics ${kafka.topics.join(', ')}`];
}

type Demo = NonNullable<BannerFacts['demo']>;

function demoLines({ eventCount, attacker, target }: Demo): string[] {
  return [
    `  Demo        ${formatCount(eventCount)} made-up events of one day, and a few more every second`,
    `  Look at     ${attacker}: it scans ${target}, guesses a password there, something eats the CPU`,
    '              and shows as threats; at the end it tries passwords on every host',
  ];
}

function tryLines({ url, newPassword, demo, kafka }: BannerFacts): string[] {
  const password = newPassword ?? 'PASSWORD';
  const insecure = url.startsWith('https:') ? '-k ' : '';
  const token = '-H "Authorization: Bearer $TOKEN"';
  const login = [
    `TOKEN=$(curl -s ${insecure}${url}/auth/login -H 'Content-Type: application/json' \\`,
    `  -d '{"username":"admin","password":"${password}"}' | sed 's/.*"access_token":"\\([^"]*\\)".*/\\1/')`,
  ];
  if (demo !== undefined) {
    return [
      ...login,
      `curl -s ${insecure}"${url}/metrics/summary?from=now-24h" ${token}`,
      `curl -s ${insecure}"${url}/logs/histogram?from=now-24h&source_ip=${demo.attacker}" ${token}`,
      `curl -s ${insecure}"${url}/logs?from=now-1h&source_ip=${demo.attacker}&limit=5" ${token}`,
    ];
  }
  const post = [
    `curl -s ${insecure}${url}/logs ${token} -H 'Content-Type: application/json' \\`,
    `  -d '{"level":"INFO","service":"demo","message":"hello"}'`,
  ];
  return [
    ...login,
    ...(kafka === undefined ? [] : post),
    `curl -s ${insecure}"${url}/logs?limit=5" ${token}`,
  ];
}
