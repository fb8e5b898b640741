// Builds the pages and puts them where the Go binary embeds them: web/dist.
import { spawnSync } from "node:child_process";
import { cpSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync } from "node:zlib";

const web = join(import.meta.dirname, "..");
const out = join(web, "out");
const dist = join(web, "dist");

const build = spawnSync("next", ["build"], {
  cwd: web,
  stdio: "inherit",
  shell: process.platform === "win32",
  env: { ...process.env, NEXT_TELEMETRY_DISABLED: "1", NODE_ENV: "production" },
});
if (build.status !== 0) process.exit(build.status ?? 1);

// .gitkeep stays: it lets `go build` work before the pages were built for the first time.
for (const name of readdirSync(dist)) if (name !== ".gitkeep") rmSync(join(dist, name), { recursive: true });
cpSync(out, dist, { recursive: true });
rmSync(out, { recursive: true });

// Brotli takes too long to be done while a browser waits; the server sends what lies ready. It gzips by itself.
for (const entry of readdirSync(dist, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile() || !/\.(css|html|js|json|svg|txt)$/.test(entry.name)) continue;
  const file = join(entry.parentPath, entry.name);
  const compressed = brotliCompressSync(readFileSync(file));
  writeFileSync(`${file}.br`, compressed);
}
