// Prints the counts of the test runner's JSON report as the closing line, and before it what was skipped and why;
// without a report nothing passed.
import { readFileSync } from 'node:fs';

function readReport(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return undefined;
  }
}

/** The reason is what test/support/skip-here.ts left with the test. */
function skippedTests(report) {
  const tests = (report?.testResults ?? []).flatMap(({ assertionResults }) => assertionResults);
  return tests.filter(({ status }) => !['passed', 'failed'].includes(status));
}

const report = readReport(process.argv[2]);
const passed = report?.numPassedTests ?? 0;
const failed = report === undefined ? 1 : report.numFailedTests + (report.numFailedTestSuites > 0 && report.numFailedTests === 0 ? 1 : 0);
const skipped = skippedTests(report);
const reasons = skipped.map(({ fullName, status, meta }) => `${fullName.replace(/ \(seed \d+\)$/, '')}: ${meta?.skipped ?? status}`);
console.log(`${skipped.length} skipped${reasons.length > 0 ? ` (${reasons.join('; ')})` : ''}`);
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
