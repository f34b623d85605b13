export * from './rate-plans';
