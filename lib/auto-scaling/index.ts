export { CapacityType } from './capacity';
export * from './fleet-policies';
export * from './fleet-scaling';
export * from './fleet-settings';
export * from './gpu-fleet';
export * from './model-server';
export * from './scaling-settings';
