export * from './batch-files';
export * from './batch-jobs';
export * from './batch-progress';
export * from './job-queue';
