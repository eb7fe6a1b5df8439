import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/*.test.ts'],
    pool: 'threads',
    // For what hangs: no test is about time.
    testTimeout: 3 * 60_000,
    hookTimeout: 3 * 60_000,
  },
});
