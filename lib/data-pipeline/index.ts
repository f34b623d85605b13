export * from './data-bucket';
export * from './data-pipeline';
export * from './data-pipeline-props';
export * from './feature-store';
export * from './malware-scan';
export * from './offline-tables';
export * from './retrieval';
export * from './vector-bucket';
