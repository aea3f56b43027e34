/** A program of its own that starts the embedded ClickHouse on argv[2], prints both pids, and waits to be killed. */
import { EmbeddedServer } from '../../src/store/embedded/embedded-server.ts';

const server = new EmbeddedServer({ dataDir: process.argv[2] ?? '', telemetry: { emit: () => {} } });
server.start().then(
  () => console.log(JSON.stringify({ pid: process.pid, serverPid: server.pid, port: server.port })),
  (error: unknown) => {
    console.error(error);
    process.exit(1);
  },
);
