/** All scenarios, in the order in which `npm run chaos` runs them. */
import type { Scenario } from '../scenario.ts';
import { killUnderLoad } from './f01-kill-under-load.ts';
import { everyFailpoint } from './f02-failpoints.ts';
import { dyingWorkers } from './f05-workers.ts';
import { poison } from './f06-poison.ts';
import { pausedOwner } from './f15-paused-owner.ts';
import { signals } from './f20-signals.ts';

export const SCENARIOS: readonly Scenario[] = [
  killUnderLoad,
  everyFailpoint,
  dyingWorkers,
  poison,
  pausedOwner,
  signals,
];
