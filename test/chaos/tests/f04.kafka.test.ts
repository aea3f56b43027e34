import { killedAtRename } from '../scenarios/f04-killed-at-rename.ts';
import { testScenario } from '../test-scenario.ts';

testScenario(killedAtRename);
