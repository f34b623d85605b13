/**
 * Preloaded into the platform: at each SIGUSR2 collects what is garbage, and writes how much memory is left to HEAP_FILE.
 * Where to send the signal stands in HEAP_FILE.pid.
 */
const { renameSync, writeFileSync } = require('node:fs');

writeFileSync(`${process.env.HEAP_FILE}.pid`, String(process.pid));
process.on('SIGUSR2', () => {
  globalThis.gc();
  globalThis.gc();
  const file = process.env.HEAP_FILE;
  writeFileSync(`${file}.new`, JSON.stringify(process.memoryUsage()));
  renameSync(`${file}.new`, file);
});
