/** All scenarios, in the order in which `npm run chaos` runs them. */
import type { Scenario } from '../scenario.ts';
import { killUnderLoad } from './f01-kill-under-load.ts';
import { heldAnswer } from './f03-held-answer.ts';
import { killedAtRename } from './f04-killed-at-rename.ts';
import { clickhouseFrozen } from './f11-clickhouse-frozen.ts';
import { fakeAnswers } from './f12-fake-answers.ts';
import { diskFull, diskLow } from './f13-disk-full.ts';

export const SCENARIOS: readonly Scenario[] = [
  killUnderLoad,
  heldAnswer,
  killedAtRename,
  clickhouseFrozen,
  fakeAnswers,
  diskLow,
  diskFull,
];
