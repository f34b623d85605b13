export * from './response-cache';
