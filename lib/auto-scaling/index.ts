export { CapacityType } from './capacity';
export * from './fleet-settings';
export * from './gpu-fleet';
export * from './model-server';
