import { signals } from '../scenarios/f20-signals.ts';
import { testScenario } from '../test-scenario.ts';

testScenario(signals);
