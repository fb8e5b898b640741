import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import type { NextConfig } from "next";

const root = dirname(dirname(fileURLToPath(import.meta.url)));

const common: NextConfig = {
  trailingSlash: true,
  reactStrictMode: true,
  turbopack: { root },
  devIndicators: false,
};

/** The pages are exported as files and served by the Go binary; `next dev` passes calls on to a running server. */
const config: NextConfig =
  process.env.NODE_ENV === "production"
    ? { ...common, output: "export" }
    : {
        ...common,
        skipTrailingSlashRedirect: true,
        rewrites: () =>
          Promise.resolve([
            {
              source: "/:service(intime\\..+)/:method",
              destination: `${process.env["INTIME_URL"] || "http://127.0.0.1:8080"}/:service/:method`,
            },
          ]),
      };

export default config;
