/**
 * Logs in and reads the newest warnings, page by page:
 *   MILLRACE_PASSWORD=… npx tsx deploy/examples/typescript/read-warnings.ts http://127.0.0.1:8080 admin
 */
import { pathToFileURL } from 'node:url';
import { type Log, MillraceClient } from './millrace-client.ts';

export interface Account {
  readonly url: string;
  readonly username: string;
  readonly password: string;
}

const PAGE_ROWS = 100;

/** Yields at most `maxRows` logs, newest first. Rejects with `ProblemError`. */
export async function* readWarnings(
  { url, username, password }: Account,
  maxRows: number,
): AsyncGenerator<Log> {
  let token: string | undefined;
  const client = new MillraceClient({ url, token: () => token });
  ({ access_token: token } = await client.login({ body: { username, password } }));
  const query = { min_level: 'warn', limit: Math.min(PAGE_ROWS, maxRows) };
  let cursor: string | null = null;
  let count = 0;
  do {
    const { data, page } = await client.listLogs({ query: cursor === null ? query : { ...query, cursor } });
    for (const log of data) {
      if (count === maxRows) return;
      count += 1;
      yield log;
    }
    cursor = page.next;
  } while (cursor !== null);
}

const [, script = '', url, username = 'admin'] = process.argv;
if (url !== undefined && import.meta.url === pathToFileURL(script).href) {
  const password = process.env['MILLRACE_PASSWORD'] ?? '';
  for await (const { timestamp, host = '-', message = '' } of readWarnings(
    { url, username, password },
    1000,
  )) {
    process.stdout.write(`${timestamp} ${host} ${message}\n`);
  }
}
