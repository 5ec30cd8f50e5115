// The server under test, as a process that is started, watched and stopped by its id.

import { spawn } from "node:child_process";
import { mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

export const ACCOUNT_SID = "AC0123456789abcdef0123456789abcdef";
export const AUTH_TOKEN = "6f1f0b3c6a1d4a0c9d7e5b2a18c4f3e7";

const READY = /^pointsman ready on (http:\/\/\S+)$/;
const READY_MS_MAX = 15_000;
const STOP_MS_MAX = 15_000;

const here = dirname(fileURLToPath(import.meta.url));
const binary = resolve(process.env.POINTSMAN_BINARY ?? join(here, "../../../target/release/pointsman"));

/** Settles with the promise, or fails with this message after so many milliseconds. */
function within(promise, ms, message) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(message())), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Starts `pointsman serve` on a free port; `stop` ends it with SIGTERM and gives its exit code. */
export async function startServer(...options) {
  const directory = mkdtempSync(join(tmpdir(), "pointsman-conformance-"));
  const log = join(directory, "log");
  const environment = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("POINTSMAN_")));
  const child = spawn(binary, ["serve", "--listen", "127.0.0.1:0", "--data-dir", join(directory, "data"), ...options], {
    env: { ...environment, POINTSMAN_ACCOUNT_SID: ACCOUNT_SID, POINTSMAN_AUTH_TOKEN: AUTH_TOKEN },
    stdio: ["ignore", "pipe", openSync(log, "a")],
  });
  const exited = new Promise((settle, reject) => {
    child.on("exit", (code) => settle(code));
    child.on("error", reject);
  });
  const lines = createInterface({ input: child.stdout });
  const firstLine = new Promise((settle) => lines.once("line", settle));
  const early = exited.then((code) => {
    throw new Error(`ended with code ${code} before it was ready:\n${readFileSync(log, "utf8")}`);
  });
  let url;
  try {
    const line = await within(Promise.race([firstLine, early]), READY_MS_MAX, () => `no ready line:\n${readFileSync(log, "utf8")}`);
    url = READY.exec(line)?.[1];
    if (!url) throw new Error(`the first line was ${JSON.stringify(line)}, not the ready line`);
  } catch (error) {
    child.kill("SIGKILL");
    rmSync(directory, { recursive: true });
    throw error;
  }
  early.catch(() => {});
  const stop = async () => {
    child.kill("SIGTERM");
    const code = await within(exited, STOP_MS_MAX, () => {
      child.kill("SIGKILL");
      return `still running after SIGTERM:\n${readFileSync(log, "utf8")}`;
    });
    rmSync(directory, { recursive: true });
    return code;
  };
  return { url, stop };
}
