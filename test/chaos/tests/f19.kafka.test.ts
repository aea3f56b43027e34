import { overload } from '../scenarios/f19-overload.ts';
import { testScenario } from '../test-scenario.ts';

testScenario(overload);
