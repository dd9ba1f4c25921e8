import { defineConfig } from 'vitest/config'
import { scaledMs } from './test/support/time.ts'

/**
 * unit: beside the code, no root, no processes. host: root, real containers in network namespaces of their own.
 * e2e: the built command line from outside. Host and e2e files run one at a time: they share the machine's kernel.
 */
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['engine/**/*.test.ts', 'cli/**/*.test.ts', 'test/architecture.test.ts'],
          exclude: ['**/*.host.test.ts', '**/node_modules/**'],
          isolate: false,
        },
      },
      {
        test: {
          name: 'host',
          include: ['engine/**/*.host.test.ts', 'test/host/**/*.test.ts'],
          fileParallelism: false,
          globalSetup: ['test/tools/host-tool.ts'],
          testTimeout: scaledMs(60_000),
          hookTimeout: scaledMs(120_000),
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          fileParallelism: false,
          globalSetup: ['test/tools/host-tool.ts'],
          testTimeout: scaledMs(120_000),
          hookTimeout: scaledMs(180_000),
        },
      },
    ],
  },
})
