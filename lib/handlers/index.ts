export * from './definition-layer';
export * from './handler-function';
export * from './inference-gateway';
export * from './interfaces';
export * from './model-access';
export * from './policy-layer';
