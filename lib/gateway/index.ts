export * from './inference-api';
export * from './inference-function';
