export { Balancing } from './balancing';
export * from './endpoint-certificate';
export * from './function-endpoint';
export * from './model-endpoint';
