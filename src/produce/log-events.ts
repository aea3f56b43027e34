/**
 * Application logs: `{"timestamp","level","service","message","metadata"}`, about 250 bytes each.
 * Texts are put together by hand: that is several times faster than JSON.stringify of a tree, and what is inserted
 * needs no escaping except where it says so.
 */
import { ATTACK_SHARE } from './attack.ts';
import type { Draft } from './draft.ts';
import type { Random } from './random.ts';
import { type Host, pickDuration, pickHex8, pickOutsideAddress, pickUser, type World } from './world.ts';

const PATHS = [
  '/api/v1/orders/',
  '/api/v1/carts/',
  '/api/v1/products/',
  '/api/v1/users/',
  '/api/v1/invoices/',
  '/api/v1/sessions/',
];
const SCAN_PATHS = [
  '/wp-login.php',
  '/.env',
  '/.git/config',
  '/phpmyadmin/index.php',
  '/cgi-bin/test.cgi',
  '/admin/config.php',
  '/vendor/phpunit/eval-stdin.php',
  '/actuator/env',
];
const METHODS = ['GET', 'GET', 'GET', 'POST', 'PUT', 'DELETE'];
const PLACES = ['Zürich', 'São Paulo', 'Kraków', '東京', 'Αθήνα'];

type MessageBuilder = (random: Random) => string;

const INFO_MESSAGES: readonly MessageBuilder[] = [
  requestMessage,
  requestMessage,
  requestMessage,
  (random) =>
    `order ${random.between(1_000_000, 9_999_999)} placed by user ${pickUser(random)}, items: ${random.between(1, 12)}, total ${random.between(500, 90_000) / 100} EUR`,
  (random) => `cache refreshed: ${random.between(100, 90_000)} keys in ${pickDuration(random)} ms`,
  (random) =>
    `message ${pickHex8(random)}-${pickHex8(random)} delivered to ${pickUser(random)}@example.com after ${random.between(1, 4)} attempts`,
  (random) =>
    `session ${pickHex8(random)}${pickHex8(random)} opened for user ${pickUser(random)} from ${pickOutsideAddress(random)}`,
];
const DEBUG_MESSAGES: readonly MessageBuilder[] = [
  (random) =>
    `query took ${pickDuration(random)} ms: SELECT id, state FROM orders WHERE customer_id = ${random.between(1000, 999_999)} LIMIT 50`,
  (random) =>
    `pool has ${random.between(0, 20)} idle and ${random.between(0, 40)} busy connections, ${random.between(0, 9)} waiting`,
];
const WARN_MESSAGES: readonly MessageBuilder[] = [
  (random) =>
    `slow answer from upstream 10.0.${random.below(4)}.${random.between(1, 250)}:8443, ${random.between(1000, 9000)} ms, retrying`,
  (random) => `rate limit near for client ${pickHex8(random)}: ${random.between(80, 99)} % of its quota used`,
  (random) =>
    `certificate of mail-${random.between(1, 9)}.example.com expires in ${random.between(1, 29)} days`,
];
const ERROR_MESSAGES: readonly MessageBuilder[] = [
  (random) =>
    `payment ${pickHex8(random)} failed: card issuer answered ${random.pick(['05', '14', '51', '91'])} after ${pickDuration(random)} ms`,
  (random) =>
    `connection to 10.0.${random.below(4)}.${random.between(1, 250)}:5432 refused, ${random.between(1, 5)} attempts left`,
  (random) =>
    `unhandled exception in job ${random.between(10_000, 99_999)}: TypeError: cannot read properties of undefined`,
];

function requestMessage(random: Random): string {
  const status = random.isTrue(0.93) ? 200 : random.pick([201, 204, 301, 304, 404]);
  const path = `${random.pick(PATHS)}${random.between(10_000, 9_999_999)}`;
  return `${random.pick(METHODS)} ${path} ${status} in ${pickDuration(random)} ms for user ${pickUser(random)}`;
}

/** Rare on purpose: text that must be escaped or is not ASCII. */
function oddMessage(random: Random): string {
  return `user "${pickUser(random)}" moved to ${random.pick(PLACES)}\\${random.between(1, 99)}\tok`;
}

/** The message's level and text, in usual shares: mostly INFO. */
function pickMessage(draft: Draft, random: Random): void {
  const roll = random.below(1000);
  if (roll < 780) {
    draft.level = 'INFO';
    draft.message = random.pick(INFO_MESSAGES)(random);
  } else if (roll < 900) {
    draft.level = 'DEBUG';
    draft.message = random.pick(DEBUG_MESSAGES)(random);
  } else if (roll < 960) {
    draft.level = 'WARN';
    draft.message = random.pick(WARN_MESSAGES)(random);
  } else if (roll < 997) {
    draft.level = 'ERROR';
    draft.message = random.pick(ERROR_MESSAGES)(random);
  } else {
    draft.level = 'INFO';
    draft.message = oddMessage(random);
  }
}

export function buildLogEvent(draft: Draft, world: World): void {
  const { random, attack } = world;
  const isScan = attack?.scenario === 'web-scan' && random.isTrue(ATTACK_SHARE);
  const host = (isScan ? world.hosts[attack.hostIndex] : undefined) ?? random.pick(world.hosts);
  draft.host = host.name;
  draft.service = random.pick(host.services);
  if (isScan) {
    draft.level = 'WARN';
    draft.message = `GET ${random.pick(SCAN_PATHS)} 404 in ${pickDuration(random)} ms from ${attack.sourceIp}`;
  } else pickMessage(draft, random);
  draft.value = logJson(draft, host, world);
}

function logJson(draft: Draft, host: Host, world: World): string {
  const { random } = world;
  const isOdd = draft.message.includes('"');
  const message = isOdd ? JSON.stringify(draft.message) : `"${draft.message}"`;
  return (
    `{"timestamp":"${world.time.iso(draft.timestampUs)}","level":"${draft.level}","service":"${draft.service}",` +
    `"message":${message},"metadata":{"seq":${draft.seq},"host":"${host.name}",` +
    `"environment":"${host.environment}","region":"${host.region}",` +
    `"request_id":"${pickHex8(random)}${pickHex8(random)}"}}`
  );
}
