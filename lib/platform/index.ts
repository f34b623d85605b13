export * from './inference-platform';
export * from './platform-fleet-settings';
