export * from './embedding-function';
export * from './inference-api';
export * from './inference-function';
