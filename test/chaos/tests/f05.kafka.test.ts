import { dyingWorkers } from '../scenarios/f05-workers.ts';
import { testScenario } from '../test-scenario.ts';

testScenario(dyingWorkers);
