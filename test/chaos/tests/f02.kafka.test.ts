import { everyFailpoint } from '../scenarios/f02-failpoints.ts';
import { testScenario } from '../test-scenario.ts';

testScenario(everyFailpoint);
