/** @type {import('jest').Config} */
export default {
  testEnvironment: 'node',
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  transform: {
    '^.+\\.[jt]s$': ['@swc/jest', { jsc: { parser: { syntax: 'typescript' }, target: 'es2023' } }],
    '\\.lua$': '<rootDir>/test/lua-as-text.cjs',
  },
  globalSetup: '<rootDir>/test/global-setup.mjs',
  coverageProvider: 'v8',
  collectCoverageFrom: ['lib/**/*.ts', 'lambda/**/*.ts', 'bin/**/*.ts'],
  coverageDirectory: 'coverage',
  coverageReporters: ['text-summary', 'lcov'],
};
