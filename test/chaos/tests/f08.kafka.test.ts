import { brokerFrozen } from '../scenarios/f08-broker-frozen.ts';
import { testScenario } from '../test-scenario.ts';

testScenario(brokerFrozen);
