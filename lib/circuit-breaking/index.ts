export * from './breaker-control';
