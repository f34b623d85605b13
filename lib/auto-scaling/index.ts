export * from './gpu-fleet';
export * from './model-server';
