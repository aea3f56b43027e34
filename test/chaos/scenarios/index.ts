/** All scenarios, in the order in which `npm run chaos` runs them. */
import type { Scenario } from '../scenario.ts';
import { killUnderLoad } from './f01-kill-under-load.ts';
import { everyFailpoint } from './f02-failpoints.ts';
import { heldAnswer } from './f03-held-answer.ts';
import { killedAtRename } from './f04-killed-at-rename.ts';
import { dyingWorkers } from './f05-workers.ts';
import { poison } from './f06-poison.ts';
import { brokerKilled } from './f07-broker-killed.ts';
import { brokerFrozen } from './f08-broker-frozen.ts';
import { halfOpen } from './f09-half-open.ts';
import { badLink } from './f10-bad-link.ts';
import { clickhouseFrozen } from './f11-clickhouse-frozen.ts';
import { fakeAnswers } from './f12-fake-answers.ts';
import { diskFull, diskLow } from './f13-disk-full.ts';
import { members } from './f14-members.ts';
import { pausedOwner } from './f15-paused-owner.ts';
import { poisonFetches } from './f16-poison-fetches.ts';
import { topicChanges } from './f17-topic-changes.ts';
import { wrongClock } from './f18-wrong-clock.ts';
import { overload } from './f19-overload.ts';
import { signals } from './f20-signals.ts';

export const SCENARIOS: readonly Scenario[] = [
  killUnderLoad,
  everyFailpoint,
  heldAnswer,
  killedAtRename,
  dyingWorkers,
  poison,
  brokerKilled,
  brokerFrozen,
  halfOpen,
  badLink,
  clickhouseFrozen,
  fakeAnswers,
  diskLow,
  diskFull,
  members,
  pausedOwner,
  poisonFetches,
  topicChanges,
  wrongClock,
  overload,
  signals,
];
