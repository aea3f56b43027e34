/**
 * Microseconds per text line: the parser alone (its goal) and with the block builder, as a worker runs it, against
 * the usual way in the same run: decode to a string, match a regular expression, build an object, store nothing.
 * Run from `dist/`: `node dist/bench/parse-text.js`.
 */
import { cpus } from 'node:os';
import { Bench } from 'tinybench';
import { EventBlock } from '../src/encode/event-block.ts';
import type { ByteRange, EventRow, TextField } from '../src/encode/event-row.ts';
import { parseText } from '../src/parse/text/parse-text.ts';

const LINE_COUNT = 1000;
const GOAL_US = 0.6;
const RECORD_TIME_US = Date.UTC(2026, 10, 21, 12) * 1000;
const SCOPE = { source: 1, partition: 0, retentionDays: 30, retentionClass: 0 };

let seed = 42;

/** Park–Miller generator: the same lines in every run. */
function pick(limit: number): number {
  seed = (seed * 48_271) % 2_147_483_647;
  return seed % limit;
}

function address(): string {
  return `${1 + pick(222)}.${pick(256)}.${pick(256)}.${1 + pick(254)}`;
}

function sshdMessage(): string {
  const user = ['root', 'admin', 'oracle', 'test', 'ubuntu', 'git'][pick(6)];
  const peer = `from ${address()} port ${1024 + pick(60_000)} ssh2`;
  switch (pick(8)) {
    case 0:
      return `Accepted publickey for ${user} ${peer}: ED25519 SHA256:pT0kQ3m3cVb1`;
    case 1:
      return `Invalid user ${user} from ${address()}`;
    case 2:
      return `pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=${address()}  user=root`;
    case 3:
      return `Received disconnect from ${address()}: 11: Bye Bye [preauth]`;
    case 4:
      return `Failed password for invalid user ${user} ${peer}`;
    default:
      return `Failed password for ${user} ${peer}`;
  }
}

function twoDigits(value: number): string {
  return String(value).padStart(2, '0');
}

function sshdLine(index: number): string {
  const clock = `${twoDigits(index % 24)}:${twoDigits(pick(60))}:${twoDigits(pick(60))}`;
  return `Nov 20 ${clock} gate-${pick(20)} sshd[${1000 + pick(30_000)}]: ${sshdMessage()}`;
}

function accessLine(index: number): string {
  const clock = `${twoDigits(index % 24)}:${twoDigits(pick(60))}:${twoDigits(pick(60))}`;
  const path = ['/', '/index.html', '/api/v1/orders?page=3', '/static/app.js', '/login'][pick(5)];
  const status = [200, 200, 200, 304, 404, 500][pick(6)];
  const agent = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0';
  return `${address()} - - [20/Nov/2026:${clock} +0000] "GET ${path} HTTP/1.1" ${status} ${pick(90_000)} "https://example.org/" "${agent}"`;
}

interface Input {
  readonly bytes: Uint8Array;
  /** Where each line starts; one more entry than lines. */
  readonly starts: Uint32Array;
}

function pack(make: (index: number) => string): Input {
  const starts = new Uint32Array(LINE_COUNT + 1);
  const parts: Buffer[] = [];
  let length = 0;
  for (let i = 0; i < LINE_COUNT; i++) {
    const part = Buffer.from(make(i));
    parts.push(part);
    length += part.length;
    starts[i + 1] = length;
  }
  return { bytes: new Uint8Array(Buffer.concat(parts)), starts };
}

/** Takes what the parser says and keeps only what it asks back. */
class SilentRow implements EventRow {
  readonly recordTimeUs = RECORD_TIME_US;
  byteCount = 0;
  #texts = 0;
  #hasAddress = false;

  clear(): void {
    this.#texts = 0;
    this.#hasAddress = false;
  }

  text(field: TextField, _source: Uint8Array, range: ByteRange): void {
    this.#texts |= 1 << field;
    this.byteCount += range.end - range.start;
  }

  hasText(field: TextField): boolean {
    return (this.#texts & (1 << field)) !== 0;
  }

  ip(): boolean {
    this.#hasAddress = true;
    return true;
  }

  hasIp(): boolean {
    return this.#hasAddress;
  }

  uint(_field: number, value: number): void {
    this.byteCount += value;
  }

  hasUint(): boolean {
    return false;
  }

  timestamp(): void {}
  timeUnreadable(): void {}
  severity(): void {}
  metadata(_key: string, _source: Uint8Array, range: ByteRange): void {
    this.byteCount += range.end - range.start;
  }
  metadataKey(): boolean {
    return true;
  }
  metadataValue(): void {}
  textRepaired(): void {}
}

const row = new SilentRow();
const block = new EventBlock();

function parseOnly({ bytes, starts }: Input): void {
  for (let i = 0; i < LINE_COUNT; i++) {
    row.clear();
    parseText(bytes, starts[i] ?? 0, starts[i + 1] ?? 0, row);
  }
}

function parseIntoBlock({ bytes, starts }: Input): void {
  block.reset(SCOPE);
  for (let i = 0; i < LINE_COUNT; i++) {
    block.beginRow(i, RECORD_TIME_US);
    parseText(bytes, starts[i] ?? 0, starts[i + 1] ?? 0, block);
    block.commitRow();
  }
}

const SSHD = /^(\w{3} [ \d]\d \d\d:\d\d:\d\d) (\S+) ([^[:]+)\[(\d+)\]: (.*)$/;
const PEER = /(?:for(?: invalid user)? (\S+) )?from (\S+?)(?: port (\d+))?(?: ssh2|:|$)/;
const ACCESS = /^(\S+) \S+ (\S+) \[([^\]]+)\] "(\S+) (\S+) ([^"]*)" (\d+) (\d+|-) "([^"]*)" "([^"]*)"$/;

let objectCount = 0;

function matchSshd(text: string): object {
  const match = SSHD.exec(text);
  if (match === null) throw new Error('baseline does not match');
  const peer = PEER.exec(match[5] ?? '');
  const time = Date.parse(`2026 ${match[1] ?? ''}`);
  return {
    time,
    host: match[2],
    process: match[3],
    pid: Number(match[4]),
    message: match[5],
    user: peer?.[1],
    ip: peer?.[2],
  };
}

function matchAccess(text: string): object {
  const match = ACCESS.exec(text);
  if (match === null) throw new Error('baseline does not match');
  const time = Date.parse((match[3] ?? '').replace(':', ' '));
  return { time, ip: match[1], method: match[4], path: match[5], status: Number(match[7]), agent: match[10] };
}

function matchAll({ bytes, starts }: Input, match: (text: string) => object): void {
  for (let i = 0; i < LINE_COUNT; i++) {
    const start = starts[i] ?? 0;
    const text = Buffer.from(bytes.buffer, bytes.byteOffset + start, (starts[i + 1] ?? 0) - start).toString();
    if (match(text) !== null) objectCount++;
  }
}

const inputs = { sshd: pack(sshdLine), access: pack(accessLine) };
const bench = new Bench({ time: 2000, warmupTime: 500 });
bench
  .add('sshd', () => parseOnly(inputs.sshd))
  .add('access', () => parseOnly(inputs.access))
  .add('sshd block', () => parseIntoBlock(inputs.sshd))
  .add('access block', () => parseIntoBlock(inputs.access))
  .add('sshd baseline', () => matchAll(inputs.sshd, matchSshd))
  .add('access baseline', () => matchAll(inputs.access, matchAccess));
await bench.run();

function microsecondsPerLine(name: string): number {
  const result = bench.getTask(name)?.result;
  if (result === undefined || !('latency' in result)) throw new Error(`no result for ${name}`);
  return (result.latency.p50 * 1000) / LINE_COUNT;
}

const kinds = ['sshd', 'access'].map((kind) => {
  const lineUs = microsecondsPerLine(kind);
  const baselineUs = microsecondsPerLine(`${kind} baseline`);
  return {
    kind,
    lineUs,
    withBlockUs: microsecondsPerLine(`${kind} block`),
    baselineUs,
    ratio: lineUs / baselineUs,
    isWithinGoal: lineUs <= GOAL_US,
  };
});
console.log(
  JSON.stringify(
    { bench: 'parse-text', node: process.version, cpu: cpus()[0]?.model, objectCount, kinds },
    null,
    2,
  ),
);
