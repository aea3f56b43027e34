import { poisonFetches } from '../scenarios/f16-poison-fetches.ts';
import { testScenario } from '../test-scenario.ts';

testScenario(poisonFetches);
