/**
 * A TCP link between clients and one server that can be made bad: slow, cut at random, or half-open (the server has
 * forgotten the connection and the client is never told). A broker must advertise the link's port, so that clients
 * stay on it: see `linkPort` of test/support/kafka-broker.ts.
 */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { Random } from '../../../src/produce/random.ts';

export interface LinkConditions {
  /** Over all connections, both ways together; default unlimited. */
  readonly bytesPerSecond?: number;
  /** Added to every piece, each way. */
  readonly latencyMs?: number;
  /** A connection is reset after a random number of bytes with this mean. */
  readonly meanBytesToReset?: number;
  /** Nothing goes through, connections are accepted all the same, and nobody is told. */
  readonly isHalfOpen?: boolean;
}

export class Link {
  readonly #server: Server;
  readonly #random: Random;
  readonly #connections = new Set<Connection>();
  #targetPort = 0;
  #conditions: LinkConditions = {};
  #freeAtMs = 0;
  /** Both ways together. */
  crossedBytes = 0;
  /** Connections that clients made, those that were reset, and those that were left half-open. */
  readonly counts = { accepted: 0, reset: 0, halfOpen: 0 };

  constructor(seed: number) {
    this.#random = new Random(seed);
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
      this.#accept(client);
    });
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  async listen(): Promise<void> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  /** Where it leads to, on loopback. */
  connectTo(port: number): void {
    this.#targetPort = port;
  }

  /**
   * Replaces all conditions; none: a good link. What was left half-open stays so for ever: its peer is gone.
   */
  set(conditions: LinkConditions): void {
    this.#conditions = conditions;
    this.#freeAtMs = 0;
    for (const connection of this.#connections) this.#apply(connection);
  }

  /** Resets every connection once. */
  resetAll(): void {
    for (const connection of this.#connections) this.#reset(connection);
  }

  async stop(): Promise<void> {
    this.#server.close();
    for (const connection of this.#connections) connection.destroy();
    await once(this.#server, 'close');
  }

  #accept(client: Socket): void {
    this.counts.accepted++;
    const connection = new Connection(client, {
      port: this.#targetPort,
      hold: (bytes) => this.#hold(connection, bytes),
    });
    this.#connections.add(connection);
    client.once('close', () => this.#connections.delete(connection));
    this.#apply(connection);
  }

  #apply(connection: Connection): void {
    const { isHalfOpen = false, meanBytesToReset } = this.#conditions;
    connection.bytesToReset =
      meanBytesToReset === undefined
        ? Number.POSITIVE_INFINITY
        : -Math.log((this.#random.next() + 1) / 0x1_0000_0000) * meanBytesToReset;
    if (!isHalfOpen || connection.isHalfOpen) return;
    this.counts.halfOpen++;
    connection.forget();
  }

  #reset(connection: Connection): void {
    this.counts.reset++;
    connection.reset();
  }

  /** Resolves when a piece of so many bytes has crossed the link. */
  async #hold(connection: Connection, bytes: number): Promise<void> {
    this.crossedBytes += bytes;
    connection.bytesToReset -= bytes;
    if (connection.bytesToReset < 0) this.#reset(connection);
    const { bytesPerSecond, latencyMs = 0 } = this.#conditions;
    const nowMs = performance.now();
    if (bytesPerSecond !== undefined) {
      this.#freeAtMs = Math.max(nowMs, this.#freeAtMs) + (1000 * bytes) / bytesPerSecond;
    }
    const waitMs = latencyMs + Math.max(0, this.#freeAtMs - nowMs);
    if (waitMs > 0) await delay(waitMs);
  }
}

/** Starts a good link that leads nowhere yet. */
export async function startLink(seed: number): Promise<Link> {
  const link = new Link(seed);
  await link.listen();
  return link;
}

interface Target {
  readonly port: number;
  readonly hold: (bytes: number) => Promise<void>;
}

/** Modes: `joined`, `half-open` (the server's side is gone, the client's swallows), `closed`. */
class Connection {
  bytesToReset = Number.POSITIVE_INFINITY;
  isHalfOpen = false;
  readonly #client: Socket;
  readonly #server: Socket;
  readonly #down: Duplex;

  constructor(client: Socket, { port, hold }: Target) {
    this.#client = client;
    this.#server = connect({ port, host: '127.0.0.1', noDelay: true });
    this.#down = pacer(hold);
    client.pipe(pacer(hold)).pipe(this.#server).pipe(this.#down).pipe(client);
    client.on('error', () => undefined);
    this.#server.on('error', () => undefined);
    client.once('close', () => this.#server.destroy());
    this.#server.once('close', () => {
      // What is still held was sent before the end and arrives; a server that was never there is told at once.
      if (!this.isHalfOpen && !this.#server.readableEnded) this.#client.resetAndDestroy();
    });
  }

  /** The server forgets the connection. */
  forget(): void {
    this.isHalfOpen = true;
    this.#client.unpipe();
    this.#down.unpipe();
    this.#client.resume();
    this.#server.destroy();
    // Only the client can end it, and it is not answered.
    this.#client.once('end', () => this.#client.destroy());
  }

  reset(): void {
    this.#client.resetAndDestroy();
    this.#server.resetAndDestroy();
  }

  destroy(): void {
    this.#client.destroy();
    this.#server.destroy();
  }
}

function pacer(hold: (bytes: number) => Promise<void>): Duplex {
  return Duplex.from(async function* (pieces: AsyncIterable<Buffer>) {
    for await (const piece of pieces) {
      await hold(piece.length);
      yield piece;
    }
  });
}
