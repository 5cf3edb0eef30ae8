import { env } from "node:process";
import { defineConfig } from "vite";

// Where `npm run dev` sends API calls: a running `dougong serve`, or the mock of dev/.
const backend = env.DOUGONG_URL ?? "http://127.0.0.1:8080";

export default defineConfig({
  base: "./", // works under any path a proxy puts in front
  esbuild: { jsx: "automatic" },
  server: { proxy: { "/v1": backend, "/admin": backend, "/healthz": backend } },
  build: {
    target: "es2022",
    assetsInlineLimit: 0, // data: URLs would break the strict content security policy
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
});
