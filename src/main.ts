#!/usr/bin/env node
/**
 * Entry of the command line.
 */
import { listenForStop } from './commands/stop-signal.ts';

const argv = process.argv.slice(2);
// Programs that serve end in order whenever they are told to: also while the rest of them is loaded.
if (['up', 'process', 'api'].includes(argv[0] ?? '')) listenForStop();
const { runProgram } = await import('./commands/program.ts');

process.exitCode = await runProgram(argv);
