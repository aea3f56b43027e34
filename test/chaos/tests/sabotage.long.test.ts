/** The oracle notices when a safeguard is left out: once for each; `npm run chaos` does it wherever one is needed. */
import { SABOTAGES } from '../../../src/failpoints.ts';
import { SCENARIOS } from '../scenarios/index.ts';
import { testSabotage } from '../test-scenario.ts';

for (const sabotage of SABOTAGES) {
  const scenario = SCENARIOS.find(({ sabotages = [] }) => sabotages.includes(sabotage));
  if (scenario === undefined) throw new Error(`No scenario depends on ${sabotage}.`);
  testSabotage(scenario, sabotage);
}
