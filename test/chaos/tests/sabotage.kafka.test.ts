/** The oracle notices when a safeguard is left out; each in the scenario that needs it. */
import { SCENARIOS } from '../scenarios/index.ts';
import { testSabotage } from '../test-scenario.ts';

for (const scenario of SCENARIOS)
  for (const sabotage of scenario.sabotages ?? []) testSabotage(scenario, sabotage);
