export * from './fleet-settings';
export * from './inference-platform';
