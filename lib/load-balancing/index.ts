export * from './endpoint-certificate';
export * from './model-endpoint';
