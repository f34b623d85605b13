export * from './definition';
export * from './training-set';
