export * from './inference-platform';
