#!/usr/bin/env node
/**
 * Entry of the command line.
 */
import { listenForStop } from './commands/stop-signal.ts';

const argv = process.argv.slice(2);
// Programs that serve end in order whenever they are told to: also while the rest of them is loaded.
if (argv[0] === 'up' || argv[0] === 'process') listenForStop();
const { runProgram } = await import('./commands/program.ts');

process.exitCode = await runProgram(argv);
