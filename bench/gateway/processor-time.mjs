/** Preloaded into each gateway: tells the parent, whenever it asks, the processor time that this process has taken. */
process.on('message', () => {
  const { user, system } = process.cpuUsage();
  process.send({ processorMicroseconds: user + system });
});
