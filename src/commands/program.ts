/**
 * The command line: all commands under one program, one place where errors become exit codes.
 */
import { Command } from 'commander';
import { nearestName } from '../config/did-you-mean.ts';
import { readPackageVersion } from '../package-info.ts';
import { EXIT_DONE, hasColours, reportError } from './output.ts';

type Register = (program: Command) => void;

/** Loaded one by one: a command waits for its own libraries only. */
const COMMANDS: Readonly<Record<string, () => Promise<Register>>> = {
  up: async () => (await import('./up.ts')).registerUp,
  process: async () => (await import('./process.ts')).registerProcess,
  api: async () => (await import('./api.ts')).registerApi,
  produce: async () => (await import('./produce.ts')).registerProduce,
  consume: async () => (await import('./consume.ts')).registerConsume,
  import: async () => (await import('./import.ts')).registerImport,
  replay: async () => (await import('./replay.ts')).registerReplay,
  status: async () => (await import('./status.ts')).registerStatus,
  dlq: async () => (await import('./dlq.ts')).registerDlq,
  user: async () => (await import('./user.ts')).registerUser,
  key: async () => (await import('./key.ts')).registerKey,
  keys: async () => (await import('./keys.ts')).registerKeys,
  migrate: async () => (await import('./migrate.ts')).registerMigrate,
  config: async () => (await import('./config.ts')).registerConfig,
  version: async () => (await import('./version.ts')).registerVersion,
};

async function createProgram(wanted: string | undefined): Promise<Command> {
  const program = new Command('millrace')
    .description(
      'Collects logs, metrics and security events, stores them in ClickHouse and answers a REST API.',
    )
    .version(readPackageVersion(), '-V, --version', 'print the version')
    .helpCommand('help [command]', 'show help of a command')
    .showSuggestionAfterError(true)
    .configureOutput({
      // Errors are written in one place, with the exit code.
      outputError: () => {},
      getOutHasColors: () => hasColours(process.stdout),
      getErrHasColors: () => hasColours(process.stderr),
    })
    .exitOverride();
  // The nearest by edits alone is hardly ever meant: `vers` is nearer to keys than to version.
  program.on('command:*', ([word = '']: readonly string[]) => {
    const names = Object.keys(COMMANDS);
    const meant = names.find((name) => name.startsWith(word)) ?? nearestName(word, names);
    const hint = meant === undefined ? '' : ` (Did you mean ${meant}?)`;
    program.error(`error: unknown command '${word}'${hint}`, { code: 'commander.unknownCommand' });
  });
  const isKnown = wanted !== undefined && Object.hasOwn(COMMANDS, wanted);
  for (const [name, load] of Object.entries(COMMANDS)) {
    if (!isKnown || name === wanted) (await load())(program);
  }
  program.addHelpText('after', '\nExit codes: 0 done, 1 failed, 2 wrong usage or settings.');
  return program;
}

/** Runs one command; never throws. */
export async function runProgram(argv: readonly string[]): Promise<number> {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    // The reader of a pipe went away, as `head` does: nothing is left to say.
    if (error.code === 'EPIPE') process.exit(EXIT_DONE);
  });
  try {
    const program = await createProgram(argv[0]);
    await program.parseAsync([...argv], { from: 'user' });
    return typeof process.exitCode === 'number' ? process.exitCode : EXIT_DONE;
  } catch (error) {
    return reportError(error, argv);
  }
}
