export * from './policy';
export * from './policy-document';
