export { Balancing } from './balancing';
export * from './endpoint-certificate';
export * from './function-endpoint';
export { type EndpointProps } from './internal-balancer';
export * from './model-endpoint';
