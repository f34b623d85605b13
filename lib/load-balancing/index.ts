export { Balancing } from './balancing';
export * from './endpoint-certificate';
export * from './model-endpoint';
