/**
 * A client that sends bytes as given: for requests that no HTTP library would send.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

export interface RawConnection {
  readonly socket: Socket;
  /** All that came so far. */
  text(): string;
  send(text: string): void;
  /** Resolves when `pattern` has come, or rejects after `timeoutMs`. */
  until(pattern: RegExp, timeoutMs?: number): Promise<string>;
  /** Resolves when the server ended the connection. */
  closed(): Promise<void>;
  destroy(): void;
}

export async function openRaw(port: number): Promise<RawConnection> {
  const socket = connect(port, '127.0.0.1');
  let received = '';
  let isClosed = false;
  socket.setEncoding('latin1');
  socket.on('data', (chunk: string) => {
    received += chunk;
  });
  socket.on('close', () => {
    isClosed = true;
  });
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  const text = (): string => received;
  return {
    socket,
    text,
    send: (data) => socket.write(data, 'latin1'),
    until: async (pattern, timeoutMs = 5000) => {
      const endMs = Date.now() + timeoutMs;
      while (!pattern.test(received)) {
        if (Date.now() > endMs) throw new Error(`${String(pattern)} did not come; got ${received}`);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      return received;
    },
    closed: async () => {
      if (!isClosed) await once(socket, 'close');
    },
    destroy: () => socket.destroy(),
  };
}
