import { topicChanges } from '../scenarios/f17-topic-changes.ts';
import { testScenario } from '../test-scenario.ts';

testScenario(topicChanges);
