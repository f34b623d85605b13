/** @type {import('jest').Config} */
export default {
  testEnvironment: 'node',
  // Tests wait for real servers and clocks, on machines that have other things to do.
  testTimeout: 20_000,
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  transform: {
    '^.+\\.[jt]s$': ['@swc/jest', { jsc: { parser: { syntax: 'typescript' }, target: 'es2023' } }],
    '\\.lua$': '<rootDir>/test/lua-as-text.cjs',
  },
  // These come as ES modules only, which Jest cannot require before Node 24.
  transformIgnorePatterns: ['/node_modules/(?!(?:jose|hyparquet|hyparquet-writer)/)'],
  globalSetup: '<rootDir>/test/global-setup.mjs',
  // Measured by `npm test -- --coverage`, as .ci/run does: it takes as long again as the tests.
  coverageProvider: 'v8',
  collectCoverageFrom: [
    'lib/**/*.ts',
    'lambda/**/*.ts',
    'bin/**/*.ts',
    // Entry points: the end-to-end tests run them, built, in processes of their own.
    '!bin/cli.ts',
    '!bin/reference*.ts',
    '!bin/start/start.ts',
    '!lambda/handlers/**/*.ts',
    // Likewise run as the functions and programs that they are part of, most of them against moto (`npm run test:long`).
    '!bin/jobs/**/*.ts',
    '!bin/pipeline/pipeline-program.ts',
    '!bin/start/aws/**/*.ts',
    '!lambda/{aws,batch-store,feature-store,gauges,pipeline-store}/**/*.ts',
    '!lambda/queueing/{control,page-query,*-api,batch-view,batch-request}.ts',
    '!lambda/data-pipeline/{running/steps,versions/control,retrieval/retrieve}.ts',
    '!lambda/data-pipeline/features/{ingest,skew-round,feature-lines,served-sample}.ts',
    // Types alone.
    '!**/*.d.ts',
    '!lambda/**/{item,ports,storage,request-record,fleet-reading}.ts',
  ],
  coverageThreshold: { global: { lines: 92, statements: 92, functions: 90, branches: 88 } },
  coverageDirectory: 'coverage',
  coverageReporters: ['text-summary', 'lcov'],
};
