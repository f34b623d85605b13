export * from './inference-platform';
export * from './platform-data-settings';
export * from './platform-fleet-settings';
