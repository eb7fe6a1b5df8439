import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/e2e/*.test.ts'],
    fileParallelism: false,
    // For what hangs outside a wait: waitFor has its own, shorter bound, and says what it waited for.
    testTimeout: 20 * 60_000,
    // A cold cache: the control plane is built first.
    hookTimeout: 40 * 60_000,
    reporters: ['verbose'],
  },
});
