/** Prints `N passed, N failed, N skipped` from the results files of Jest, summed: `node .ci/summary.mjs FILE...`. */
import { existsSync, readFileSync } from 'node:fs';

const sums = { passed: 0, failed: 0, skipped: 0 };
for (const file of process.argv.slice(2)) {
  // A run that ended before it could tell counts as one failure, as does a suite that does not even load.
  if (!existsSync(file)) {
    sums.failed += 1;
    continue;
  }
  const results = JSON.parse(readFileSync(file, 'utf8'));
  sums.passed += results.numPassedTests;
  sums.failed += results.numFailedTests + results.numRuntimeErrorTestSuites;
  sums.skipped += results.numPendingTests + results.numTodoTests;
}
console.log(`${sums.passed} passed, ${sums.failed} failed, ${sums.skipped} skipped`);
