import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/*.test.ts'],
    pool: 'threads',
    // For what hangs: no test is about time.
    testTimeout: 3 * 60_000,
    hookTimeout: 3 * 60_000,
    // The core has a floor: `coverage/` shows what no test reaches.
    coverage: {
      provider: 'v8',
      include: ['src/sideload/**'],
      reporter: ['text-summary', 'html'],
      thresholds: { statements: 98, branches: 90, functions: 98, lines: 99 },
    },
  },
});
