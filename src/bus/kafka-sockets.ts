/**
 * Sockets for kafkajs that notice a dead peer. kafkajs fails a request that is not answered in time but goes on
 * using the connection, so that on a half-open one every later request waits out its time, too. Here the
 * connections of that broker are cut, and the next request makes a new one.
 */
import { isIP, connect as netConnect, type Socket } from 'node:net';
import { connect as tlsConnect } from 'node:tls';
import type { ISocketFactory } from 'kafkajs';

/** Silence after which the system probes the peer (ten probes, one a second), for connections that only wait. */
const KEEP_ALIVE_DELAY_MS = 5000;

export class KafkaSockets {
  readonly #open = new Map<string, Set<Socket>>();
  #isClosed = false;

  /** Handed to kafkajs as its `socketFactory`. */
  readonly factory: ISocketFactory = ({ host, port, ssl, onConnect }) => {
    if (this.#isClosed) throw new Error('The client is closed');
    // kafkajs gives no `ssl` for plain text although its type says so.
    const isPlain = (ssl as unknown) === undefined || (ssl as unknown) === null;
    const serverName = isIP(host) === 0 ? { servername: host } : {};
    const socket = isPlain
      ? netConnect({ host, port }, onConnect)
      : tlsConnect({ host, port, ...serverName, ...ssl }, onConnect);
    socket.setKeepAlive(true, KEEP_ALIVE_DELAY_MS);
    socket.setNoDelay(true);
    this.#remember(`${host}:${port}`, socket);
    return socket;
  };

  /** Cuts the connections to one broker (`host:port`); requests on them fail at once. */
  cut(broker: string): void {
    for (const socket of this.#open.get(broker) ?? []) {
      // One that kafkajs has ended itself only waits for the peer: nobody is to be told.
      const reason = socket.writableEnded ? undefined : new Error('The connection was cut');
      socket.destroy(reason);
    }
  }

  /** Cuts all connections and allows no new ones: kafkajs may be in the midst of its retries. */
  close(): void {
    this.#isClosed = true;
    for (const broker of this.#open.keys()) this.cut(broker);
  }

  #remember(broker: string, socket: Socket): void {
    const sockets = this.#open.get(broker) ?? new Set();
    this.#open.set(broker, sockets.add(socket));
    socket.once('close', () => {
      sockets.delete(socket);
    });
  }
}
