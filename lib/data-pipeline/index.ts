export * from './data-bucket';
export * from './feature-store';
export * from './offline-tables';
