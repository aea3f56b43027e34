/**
 * One program at a time starts a ClickHouse on a data directory. ClickHouse's own lock lets one of two live, but the
 * other empties the directory of temporary files before it finds that out.
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const POLL_MS = 50;
const DIGITS = 32;

/**
 * Waits for the turn of this program to start a server on `dataDir` (absolute, without symbolic links), for at most
 * `waitMs`; then it goes on without. Answers how to end the turn; the system ends that of a program that dies. Other
 * systems than Linux have no sockets in an abstract name space (unix(7)): there nobody waits.
 */
export async function takeStartTurn(dataDir: string, waitMs: number): Promise<() => void> {
  if (process.platform !== 'linux') return () => undefined;
  const digest = createHash('sha256').update(dataDir).digest('hex').slice(0, DIGITS);
  const end = performance.now() + waitMs;
  do {
    const server = await listen(`\0millrace-start-${digest}`);
    if (server !== undefined) return () => void server.close();
    await sleep(POLL_MS);
  } while (performance.now() < end);
  return () => undefined;
}

/** Undefined while somebody else has the name. */
async function listen(path: string): Promise<Server | undefined> {
  const server = createServer((socket) => socket.destroy());
  server.unref();
  server.listen({ path });
  try {
    await once(server, 'listening');
    return server;
  } catch {
    return undefined;
  }
}
