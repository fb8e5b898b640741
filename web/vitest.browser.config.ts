import { defineConfig } from "vitest/config";

/** Tests of the built binary in a real browser: one at a time, with time to start it. */
export default defineConfig({
  test: {
    include: ["test/**/*.browser.ts"],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    fileParallelism: false,
  },
});
