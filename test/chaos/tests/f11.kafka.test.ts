import { clickhouseFrozen } from '../scenarios/f11-clickhouse-frozen.ts';
import { testScenario } from '../test-scenario.ts';

testScenario(clickhouseFrozen);
