export * from './inference-platform';
export * from './inference-platform-props';
export * from './platform-data-settings';
export * from './platform-fleet-settings';
