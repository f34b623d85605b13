import { createTypeScriptImportResolver } from 'eslint-import-resolver-typescript';
import { importX } from 'eslint-plugin-import-x';
import tseslint from 'typescript-eslint';

const PATTERNS = [
  'gateway',
  'rate-limiting',
  'caching',
  'queueing',
  'circuit-breaking',
  'load-balancing',
  'auto-scaling',
  'fault-tolerance',
  'data-pipeline',
];

/** The floors of lib/, from the ground up; a folder imports from its own and from lower floors only. */
const LIB_FLOORS = [['policy'], ['security'], ['handlers'], PATTERNS, ['observability'], ['platform']];

/** The floors of lambda/: pure logic, then what talks to the outside, then the entry points. */
const LAMBDA_FLOORS = [
  [...PATTERNS, 'security', 'observability'],
  [
    'aws',
    'store',
    'batch-store',
    'backends',
    'events',
    'gauges',
    'feature-store',
    'pipeline-store',
    'custom-resources',
  ],
  ['handlers'],
];

/** Import zones that keep each floor from reaching up, and its rooms from reaching into each other. */
function floorsOf(root, floors, options = { shareFloor: false }) {
  return floors.flatMap((floor, level) =>
    floor.flatMap((folder) => {
      const above = floors.slice(level + 1).flat();
      const beside = options.shareFloor ? [] : floor.filter((other) => other !== folder);
      const from = [...above, ...beside].map((other) => `${root}/${other}`);
      const message = `${root}/${folder} stands below or beside this import; imports go down the floors only`;
      return from.length > 0 ? [{ target: `${root}/${folder}`, from, message }] : [];
    }),
  );
}

export default tseslint.config(
  { ignores: ['dist', 'coverage', '**/cdk.out', 'node_modules'] },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.recommendedTypeChecked, tseslint.configs.stylisticTypeChecked],
    plugins: { 'import-x': importX },
    languageOptions: {
      parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname },
    },
    settings: { 'import-x/resolver-next': [createTypeScriptImportResolver({ alwaysTryTypes: true })] },
    rules: {
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/no-empty-function': ['error', { allow: ['private-constructors'] }],
      eqeqeq: ['error', 'always', { null: 'ignore' }],
      'import-x/no-cycle': 'error',
      'import-x/no-duplicates': ['error', { 'prefer-inline': true }],
      'import-x/no-restricted-paths': [
        'error',
        {
          zones: [
            ...floorsOf('./lib', LIB_FLOORS),
            ...floorsOf('./lambda', LAMBDA_FLOORS, { shareFloor: true }),
            { target: './lib', from: ['./lambda', './bin', './test'], message: 'lib is what the others build on' },
            {
              target: './lambda',
              from: ['./bin', './test'],
              message: 'run-time code is what bin starts and test tries',
            },
            {
              target: './lambda',
              from: './lib',
              except: ['./policy'],
              message: 'run-time code knows the policy and nothing else of lib',
            },
          ],
        },
      ],
    },
  },
  {
    files: ['lib/policy/**/*.ts'],
    rules: {
      'no-restricted-imports': ['error', { patterns: ['aws-cdk-lib*', 'constructs', '@aws-sdk/*'] }],
    },
  },
  {
    files: ['test/**/*.ts', 'bench/**/*.ts'],
    rules: { '@typescript-eslint/no-non-null-assertion': 'off' },
  },
);
