/** What a killed `up` left of its HTTP lanes, after the next start. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type Program, startProgram } from '../support/program.ts';
import { until } from '../support/until.ts';

const LINES = ['{"service":"s","message":"a"}', '{"broken', '{"service":"s","message":"b"}'];
const DEADLINE_MS = 120_000;

test(
  'rows that were answered and had no ledger row get it from the next start',
  async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'millrace-dead-start-'));
    const programs: Program[] = [];
    const start = async (settings: Readonly<Record<string, string>> = {}): Promise<Program> => {
      const program = await startProgram({ dataDir, settings });
      programs.push(program);
      await program.ready();
      return program;
    };
    try {
      const killed = await start({ FAILPOINTS: 'commit_before:kill' });
      const answer = await killed.post('/logs', LINES.join('\n'), { 'Content-Type': 'application/x-ndjson' });
      expect(answer.status).toBe(200);
      expect(await killed.exited).toMatchObject({ signal: 'SIGKILL' });
      const next = await start();
      const store = next.openStore();
      let ledger: unknown[] = [];
      await until(
        async () => {
          ledger = await store.query(
            'SELECT from_offset, to_offset, received, stored, dead_lettered FROM ledger FINAL',
          );
          return ledger.length > 0;
        },
        { timeoutMs: DEADLINE_MS / 2, seen: () => next.printed.slice(-2000) },
      );
      const deadLettered = { malformed_json: 1 };
      expect(ledger).toEqual([
        { from_offset: 0, to_offset: 3, received: 3, stored: 2, dead_lettered: deadLettered },
      ]);
      // The lane of this start is its own still.
      expect((await next.post('/logs', LINES[0] ?? '')).status).toBe(200);
      await store.close();
    } finally {
      await Promise.all(programs.map((program) => program.kill()));
      await rm(dataDir, { recursive: true, force: true });
    }
  },
  DEADLINE_MS,
);
