import { heldAnswer } from '../scenarios/f03-held-answer.ts';
import { testScenario } from '../test-scenario.ts';

testScenario(heldAnswer);
