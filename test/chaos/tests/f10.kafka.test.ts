import { badLink } from '../scenarios/f10-bad-link.ts';
import { testScenario } from '../test-scenario.ts';

testScenario(badLink);
