import { createClient } from "@connectrpc/connect";
import { expect, test, vi } from "vitest";
import { createIntimeTransport } from "../src/index.js";
import { JobService } from "../src/service/job.js";
import { SessionService } from "../src/service/session.js";

function setup() {
  const fetch = vi.fn<typeof globalThis.fetch>(() =>
    Promise.resolve(new Response("{}", { headers: { "Content-Type": "application/json" } })),
  );
  const session = { accessToken: () => Promise.resolve("secret") };
  return { fetch, transport: createIntimeTransport({ baseUrl: "https://intime.example.com", session, fetch }) };
}

test("calls carry the token, as JSON by POST", async () => {
  const { fetch, transport } = setup();
  await createClient(JobService, transport).listJobs({ query: "gosu" });
  const [url, init] = fetch.mock.calls[0] ?? [];
  const headers = new Headers(init?.headers);
  expect(url).toBe("https://intime.example.com/intime.job.v1.JobService/ListJobs");
  expect(init?.method).toBe("POST");
  expect(headers.get("authorization")).toBe("Bearer secret");
  expect(headers.get("content-type")).toBe("application/json");
  expect(headers.get("connect-timeout-ms")).toBe("30000");
});

test("public calls do without", async () => {
  const { fetch, transport } = setup();
  await createClient(SessionService, transport).getSignInOptions({});
  expect(new Headers(fetch.mock.calls[0]?.[1]?.headers).get("authorization")).toBeNull();
});
