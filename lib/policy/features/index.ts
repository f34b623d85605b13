export * from './definition';
export * from './feature-document';
export * from './training-set';
