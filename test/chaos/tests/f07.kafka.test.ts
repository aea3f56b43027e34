import { brokerKilled } from '../scenarios/f07-broker-killed.ts';
import { testScenario } from '../test-scenario.ts';

testScenario(brokerKilled);
