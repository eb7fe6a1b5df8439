import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/e2e/*.test.ts'],
    fileParallelism: false,
    testTimeout: 60_000,
    // A cold cache: the control plane is built first.
    hookTimeout: 40 * 60_000,
    reporters: ['verbose'],
  },
});
