import { defineConfig } from "vitest/config";

// Pure logic only, so no browser is simulated; the end-to-end test uses a real one.
export default defineConfig({
  esbuild: { jsx: "automatic" },
  test: { include: ["tests/**/*.test.{ts,tsx}"], environment: "node" },
});
