export * from './backend';
export * from './batch-settings';
export * from './cache-settings';
export * from './features';
export * from './model';
export * from './pipeline';
export * from './policy';
export * from './policy-document';
