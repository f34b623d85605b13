export * from './api-firewall';
export * from './log-bucket';
export * from './platform-key';
export * from './platform-network';
export * from './tenant-directory';
