import { members } from '../scenarios/f14-members.ts';
import { testScenario } from '../test-scenario.ts';

testScenario(members);
