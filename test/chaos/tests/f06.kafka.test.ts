import { poison } from '../scenarios/f06-poison.ts';
import { testScenario } from '../test-scenario.ts';

testScenario(poison);
