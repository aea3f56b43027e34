/**
 * Kills ClickHouse exactly at the rename that makes a part valid: strace, attached to the server, holds every rename
 * for a moment at its entry or at its return, long enough to read which part it is and to kill the server there.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { promisify } from 'node:util';
import { until } from '../../support/until.ts';

const run = promisify(execFile);

export interface PartRename {
  readonly by: 'insert' | 'merge' | 'mutation';
  /** UUID of the table, as system.tables has it. */
  readonly table: string;
  /** Name of the part when it is done. */
  readonly part: string;
}

export interface RenameCrashOptions {
  readonly pid: number;
  /** `before`: the part is written, its rename has not happened; `after`: it has, and nothing else. */
  readonly at: 'before' | 'after';
  /** The rename to die at. Asked once for each, in the order in which they come. */
  readonly isIt: (rename: PartRename) => boolean;
}

export interface RenameCrash {
  /** Resolves when the server is dead, with where it was killed; rejects when the rename never came. */
  readonly struck: Promise<PartRename>;
  /** Lets go of the server, if it still lives. */
  stop(): void;
}

/** How long each rename is held. Inserts wait for it: a part per table of a view. */
const HELD_US = 200_000;
const ATTACH_MS = 20_000;
const STRIKE_MS = 60_000;

const RENAME =
  /\[pid +(\d+)\] rename\("[^"]*\/([0-9a-f-]{36})\/tmp_(insert|merge|mut)_[^"]*", "[^"]*?([^/"]+)\/?"/g;
const MAKERS: Readonly<Record<string, PartRename['by']>> = {
  insert: 'insert',
  merge: 'merge',
  mut: 'mutation',
};

/** Empty: strace can be used; otherwise why it cannot on this machine. */
export async function straceProblem(): Promise<string> {
  const isThere = await run('strace', ['--version']).then(
    () => true,
    () => false,
  );
  return isThere ? await tracingProblem() : 'strace is not here (Debian: apt-get install strace)';
}

/** Attaching is what containers and hardened systems forbid. */
async function tracingProblem(): Promise<string> {
  const child = spawn('sleep', ['60'], { stdio: 'ignore' });
  const tracer = spawn('strace', ['-p', String(child.pid)], { stdio: ['ignore', 'ignore', 'pipe'] });
  try {
    const said = await new Promise<string>((resolve) => {
      tracer.stderr.once('data', (text: Buffer) => resolve(text.toString()));
      tracer.once('close', () => resolve('strace ended without a word'));
    });
    return said.includes('attached') ? '' : `strace may not attach here: ${said.trim()}`;
  } finally {
    tracer.kill('SIGKILL');
    child.kill('SIGKILL');
  }
}

/** Resolves when strace holds on to the server. The server is slow from then on: let it be struck soon. */
export async function armRenameCrash(options: RenameCrashOptions): Promise<RenameCrash> {
  const { pid, at } = options;
  const delay = at === 'before' ? 'delay_enter' : 'delay_exit';
  const inject = `inject=rename:${delay}=${HELD_US}`;
  const tracer = spawn(
    'strace',
    ['-f', '-p', String(pid), '-s', '4096', '-e', 'trace=rename', '-e', inject],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  const watch = new RenameWatch(options, tracer);
  await until(() => watch.isAttached || watch.isOver, { timeoutMs: ATTACH_MS, seen: () => watch.said });
  // Whoever arms it may wait for it later.
  watch.struck.catch(() => {});
  return { struck: watch.struck, stop: () => tracer.kill('SIGTERM') };
}

interface Held {
  readonly rename: PartRename;
  readonly thread: string;
  /** Where what strace says next about it begins. */
  readonly endsAt: number;
}

/** Reads what strace says while it says it: a line is still open while its rename is held. */
class RenameWatch {
  readonly struck: Promise<PartRename>;
  readonly #options: RenameCrashOptions;
  #said = '';
  #readTo = 0;
  #it: Held | undefined;
  #isKilled = false;
  isOver = false;

  constructor(options: RenameCrashOptions, tracer: ChildProcess) {
    this.#options = options;
    const deadline = setTimeout(() => tracer.kill('SIGTERM'), STRIKE_MS);
    tracer.stderr?.on('data', (text: Buffer) => {
      this.#said += text.toString();
      this.#look();
    });
    this.struck = new Promise((resolve, reject) => {
      tracer.once('error', reject);
      tracer.once('close', () => {
        clearTimeout(deadline);
        this.isOver = true;
        if (this.#it !== undefined && this.#isKilled && this.#isExact()) resolve(this.#it.rename);
        else reject(new Error(`ClickHouse was not killed at a rename: ${this.said}`));
      });
    });
  }

  get isAttached(): boolean {
    return this.#said.includes(' attached');
  }

  /** The end of it, for an error. */
  get said(): string {
    return this.#said.slice(-2000);
  }

  #look(): void {
    this.#it ??= this.#find();
    if (this.#it === undefined || this.#isKilled) return;
    if (this.#options.at === 'after' && !this.#hasReturned()) return;
    this.#isKilled = true;
    process.kill(this.#options.pid, 'SIGKILL');
  }

  #find(): Held | undefined {
    for (const match of this.#said.slice(this.#readTo).matchAll(RENAME)) {
      const [text, thread = '', table = '', maker = '', part = ''] = match;
      const rename: PartRename = { by: MAKERS[maker] ?? 'insert', table, part };
      const endsAt = this.#said.indexOf(text, this.#readTo) + text.length;
      this.#readTo = endsAt;
      if (this.#options.isIt(rename)) return { rename, thread, endsAt };
    }
    return undefined;
  }

  /** The rename has happened: strace prints what it returned, before it lets the thread go on. */
  #hasReturned(): boolean {
    const { thread = '', endsAt = 0 } = this.#it ?? {};
    const after = this.#said.slice(endsAt);
    return (
      /^\) += 0/.test(after) || new RegExp(`\\[pid +${thread}\\] <... rename resumed>\\) += 0`).test(after)
    );
  }

  /** A machine so slow that the rename was let go before the kill came: then it did not die where it should. */
  #isExact(): boolean {
    return this.#options.at === 'after' || !this.#hasReturned();
  }
}
