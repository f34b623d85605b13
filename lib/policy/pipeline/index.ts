export * from './definition';
export * from './monitors';
export * from './pipeline-document';
export * from './publishing';
export * from './rules';
export * from './stage-work';
