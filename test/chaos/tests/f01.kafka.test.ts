import { killUnderLoad } from '../scenarios/f01-kill-under-load.ts';
import { testScenario } from '../test-scenario.ts';

testScenario(killUnderLoad);
