import { wrongClock } from '../scenarios/f18-wrong-clock.ts';
import { testScenario } from '../test-scenario.ts';

testScenario(wrongClock);
