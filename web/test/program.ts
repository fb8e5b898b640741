import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createIntimeTransport } from "@intime/client";
import { type Browser, chromium } from "playwright-core";

const binary = fileURLToPath(new URL("../../bin/intime", import.meta.url));

/** The built binary with a database of its own that goes with it. */
export interface Program {
  url: string;
  /** Returns a transport that calls as a demo person. */
  transportOf: (email: string) => ReturnType<typeof createIntimeTransport>;
  stop: () => Promise<void>;
}

export async function startProgram(): Promise<Program> {
  // Postgres runs as another user than root, so the folder must be open to it, and its path short.
  const dir = mkdtempSync(join(existsSync("/var/tmp") ? "/var/tmp" : tmpdir(), "intime-"));
  chmodSync(dir, 0o755);
  const data = join(dir, "data");
  const child = spawn(binary, ["dev", "--addr", "127.0.0.1:0", "--data-dir", data], {
    stdio: ["ignore", "pipe", "pipe"],
  });

  async function stop() {
    if (child.exitCode === null) {
      const exited = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGTERM");
      await exited;
    }
    rmSync(dir, { recursive: true, force: true });
  }

  try {
    const url = await addressOf(child);
    return {
      url,
      stop,
      transportOf(email) {
        const token = execFileSync(binary, ["token", "--data-dir", data, email], { encoding: "utf8" }).trim();
        return createIntimeTransport({ baseUrl: url, session: { accessToken: () => Promise.resolve(token) } });
      },
    };
  } catch (err) {
    await stop();
    throw err;
  }
}

/** Waits until the program says where it listens. */
function addressOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let output = "";
    const read = (chunk: Buffer) => {
      output += chunk.toString();
      const url = /http:\/\/127\.0\.0\.1:\d+/.exec(output)?.[0];
      if (url) resolve(url);
    };
    child.stdout?.on("data", read);
    child.stderr?.on("data", (chunk: Buffer) => (output += chunk.toString()));
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`bin/intime dev ended with ${code ?? "a signal"}:\n${output}`)));
  });
}

export function startBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath: process.env["CHROMIUM"] || "/usr/bin/chromium",
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}
