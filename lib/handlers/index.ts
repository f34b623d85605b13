export * from './definition-layer';
export * from './handler-function';
export * from './interfaces';
export * from './policy-layer';
