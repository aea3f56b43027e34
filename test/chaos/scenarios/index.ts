/** All scenarios, in the order in which `npm run chaos` runs them. */
import type { Scenario } from '../scenario.ts';
import { killUnderLoad } from './f01-kill-under-load.ts';

export const SCENARIOS: readonly Scenario[] = [killUnderLoad];
