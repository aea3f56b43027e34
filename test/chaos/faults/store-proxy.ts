/**
 * A proxy in front of the embedded ClickHouse: adds the key that it demands, so that a program needs nothing but
 * CLICKHOUSE_URL, and does to single requests what networks and servers do: holds an answer back after the rows are
 * stored, cuts a connection, or gives an answer of its own, in the place of ClickHouse's or of a request that never
 * reached it. Everything else passes.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { Random } from '../../../src/produce/random.ts';
import type { StoreOptions } from '../../../src/store/clickhouse-client.ts';
import { type FakeAnswer, fakeAnswer } from './fake-answers.ts';

export type StoreFault =
  /** `isStored`: forwarded, and ClickHouse's own answer is thrown away. */
  | { readonly kind: 'answer'; readonly answer: FakeAnswer; readonly isStored: boolean }
  /** Cut in the middle of the request's body, or when ClickHouse has answered. */
  | { readonly kind: 'cut'; readonly at: 'request' | 'answer' }
  /** Forwarded; the answer waits in the proxy until `release` or `stop`. */
  | { readonly kind: 'hold' }
  /** The second half of the body waits in the proxy, and goes on at `release` even when its sender is long dead. */
  | { readonly kind: 'stall' };

/** One INSERT on its way. */
export interface SeenInsert {
  readonly table: string;
  /** Counted per table, from 1. */
  readonly number: number;
}

export interface StruckInsert extends SeenInsert {
  readonly fault: StoreFault;
  /** Status of ClickHouse's answer; 0: it has not seen the whole request. */
  status: number;
  /** False as long as it is stalled. */
  isOver: boolean;
}

export type ChooseFault = (insert: SeenInsert) => StoreFault | undefined;

interface Exchange {
  readonly incoming: IncomingMessage;
  readonly answer: ServerResponse;
  readonly target: URL;
  /** Set when the statement is in it; it was read then. */
  readonly body: Buffer | undefined;
}

const INSERT = /^\s*INSERT INTO (?:TABLE )?(?:\w+\.)?(\w+)/i;
const PASS: ChooseFault = () => undefined;

export class StoreProxy {
  /** What was done to inserts so far. */
  readonly struck: StruckInsert[] = [];
  readonly #target: StoreOptions;
  readonly #server = createServer((incoming, answer) => {
    this.#handle(incoming, answer).catch(() => answer.destroy());
  });
  readonly #seenCounts = new Map<string, number>();
  #choose: ChooseFault = PASS;
  readonly #held = new Set<() => void>();

  constructor(target: StoreOptions) {
    this.#target = target;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async start(): Promise<void> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  /** From now on `choose` is asked for every INSERT. */
  strike(choose: ChooseFault): void {
    this.#choose = choose;
  }

  /** The next INSERT into that table meets the fault. */
  strikeNext(table: string, fault: StoreFault): void {
    this.strike((insert) => {
      if (insert.table !== table) return undefined;
      this.pass();
      return fault;
    });
  }

  /** From now on everything passes; what is held stays held. */
  pass(): void {
    this.#choose = PASS;
  }

  /** Passes on what is held. */
  release(): void {
    for (const goOn of this.#held) goOn();
    this.#held.clear();
  }

  /** Cuts every connection that is open. */
  cutAll(): void {
    this.#server.closeAllConnections();
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
    this.release();
  }

  async #handle(incoming: IncomingMessage, answer: ServerResponse): Promise<void> {
    const target = new URL(incoming.url ?? '/', this.#target.url);
    const query = target.searchParams.get('query');
    // Without a query in its address the body is the statement: small.
    const body = query === null ? await buffer(incoming) : undefined;
    const exchange = { incoming, answer, target, body };
    const insert = this.#count(query ?? body?.toString('utf8') ?? '');
    const fault = insert === undefined ? undefined : this.#choose(insert);
    if (insert === undefined || fault === undefined) pass(await this.#forward(exchange), answer);
    else await this.#strike({ ...exchange, ...insert, fault });
  }

  async #strike(exchange: Exchange & SeenInsert & { readonly fault: StoreFault }): Promise<void> {
    const { answer, table, number, fault } = exchange;
    if (fault.kind === 'stall') return await this.#stall(exchange);
    const stored = await this.#reach(exchange, fault);
    this.struck.push({ table, number, fault, status: stored?.status ?? 0, isOver: true });
    if (fault.kind === 'cut') return void answer.destroy();
    if (fault.kind === 'answer') return void answer.socket?.end(fakeAnswer(fault.answer));
    await this.#untilReleased();
    answer.writeHead(stored?.status ?? 502, stored?.headers).end(stored?.body);
  }

  async #stall(exchange: Exchange & SeenInsert & { readonly fault: StoreFault }): Promise<void> {
    const { incoming, answer, target, body, table, number, fault } = exchange;
    const all = body ?? (await buffer(incoming));
    const outgoing = this.#open(incoming, target);
    const answered = once(outgoing, 'response') as Promise<[IncomingMessage]>;
    outgoing.write(all.subarray(0, all.length >> 1));
    const struck: StruckInsert = { table, number, fault, status: 0, isOver: false };
    this.struck.push(struck);
    try {
      // ClickHouse may have lost patience by then.
      await Promise.race([this.#untilReleased(), answered]);
      outgoing.end(all.subarray(all.length >> 1));
      const [from] = await answered;
      struck.status = from.statusCode ?? 0;
      pass(from, answer);
    } finally {
      struck.isOver = true;
    }
  }

  async #untilReleased(): Promise<void> {
    await new Promise<void>((resolve) => this.#held.add(resolve));
  }

  /** What of the request the fault lets reach ClickHouse; undefined: not the whole of it. */
  async #reach(exchange: Exchange, fault: Exclude<StoreFault, { kind: 'stall' }>) {
    const { incoming, body } = exchange;
    const isWhole =
      fault.kind === 'hold' || (fault.kind === 'answer' ? fault.isStored : fault.at === 'answer');
    if (isWhole) {
      const from = await this.#forward(exchange);
      // It goes on in one piece.
      const { 'transfer-encoding': _chunked, 'content-length': _length, ...headers } = from.headers;
      return { status: from.statusCode ?? 0, headers, body: await buffer(from) };
    }
    const all = body ?? (await buffer(incoming));
    if (fault.kind === 'cut') await this.#forwardHalf(exchange, all);
    return undefined;
  }

  /** Undefined: the statement is no INSERT. */
  #count(statement: string): SeenInsert | undefined {
    const table = INSERT.exec(statement)?.[1];
    if (table === undefined) return undefined;
    const number = (this.#seenCounts.get(table) ?? 0) + 1;
    this.#seenCounts.set(table, number);
    return { table, number };
  }

  #open(incoming: IncomingMessage, target: URL) {
    const { method = 'GET', headers } = incoming;
    const outgoing = request(target, { method, headers: { ...headers, ...this.#target.headers } });
    // Whoever waits for the answer hears of it; it may also come after the answer.
    return outgoing.on('error', () => {});
  }

  /** Resolves with the head of ClickHouse's answer. A client that goes away takes the connection with it. */
  async #forward({ incoming, answer, target, body }: Exchange): Promise<IncomingMessage> {
    const outgoing = this.#open(incoming, target);
    answer.once('close', () => outgoing.destroy());
    if (body === undefined) incoming.pipe(outgoing);
    else outgoing.end(body);
    const [from] = (await once(outgoing, 'response')) as [IncomingMessage];
    outgoing.on('error', () => answer.destroy());
    return from;
  }

  /** ClickHouse gets the first half of the body and then a closed connection. */
  async #forwardHalf({ incoming, target }: Exchange, body: Buffer): Promise<void> {
    const outgoing = this.#open(incoming, target);
    await new Promise<void>((resolve) => {
      outgoing.write(body.subarray(0, body.length >> 1), () => resolve());
    });
    outgoing.destroy();
  }
}

export interface SeededFaults {
  readonly seed: number;
  /** Of the inserts, 0–1. */
  readonly share: number;
  readonly tables: readonly string[];
  readonly faults: readonly StoreFault[];
}

/** The same inserts meet the same faults for the same seed, whatever comes between them. */
export function seededFaults({ seed, share, tables, faults }: SeededFaults): ChooseFault {
  return ({ table, number }) => {
    const place = tables.indexOf(table);
    if (place < 0) return undefined;
    const random = new Random(seed * 1_000_003 + place * 100_003 + number);
    return random.isTrue(share) ? random.pick(faults) : undefined;
  };
}

export async function startStoreProxy(target: StoreOptions): Promise<StoreProxy> {
  const proxy = new StoreProxy(target);
  await proxy.start();
  return proxy;
}

function pass(from: IncomingMessage, answer: ServerResponse): void {
  answer.writeHead(from.statusCode ?? 502, from.headers);
  from.once('error', () => answer.destroy());
  from.pipe(answer);
}
