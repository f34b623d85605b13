/** Loaded before the program: tells on standard error how much memory it took at most. */
process.on('exit', () => {
  process.stderr.write(`\nmaxRSS ${Math.round(process.resourceUsage().maxRSS / 1024)} MiB\n`);
});
