import { pausedOwner } from '../scenarios/f15-paused-owner.ts';
import { testScenario } from '../test-scenario.ts';

testScenario(pausedOwner);
