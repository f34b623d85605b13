export * from './backend';
export * from './features';
export * from './cache-settings';
export * from './model';
export * from './pipeline';
export * from './policy';
export * from './policy-document';
