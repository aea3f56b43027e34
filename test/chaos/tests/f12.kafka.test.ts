import { fakeAnswers } from '../scenarios/f12-fake-answers.ts';
import { testScenario } from '../test-scenario.ts';

testScenario(fakeAnswers);
