import { diskFull, diskLow } from '../scenarios/f13-disk-full.ts';
import { testScenario } from '../test-scenario.ts';

testScenario(diskLow);
testScenario(diskFull);
