import { halfOpen } from '../scenarios/f09-half-open.ts';
import { testScenario } from '../test-scenario.ts';

testScenario(halfOpen);
