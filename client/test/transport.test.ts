import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { expect, test, vi } from "vitest";
import { createIntimeTransport } from "../src/index.js";
import { EventService } from "../src/service/event.js";
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

/** The answer of a stream: messages, and how it ended. */
function streamed(messages: unknown[], end: unknown) {
  const part = (flags: number, value: unknown) => {
    const data = new TextEncoder().encode(JSON.stringify(value));
    const head = new Uint8Array(5);
    head[0] = flags;
    new DataView(head.buffer).setUint32(1, data.length);
    return [head, data];
  };
  const parts = [...messages.flatMap((m) => part(0, m)), ...part(2, end)];
  return new Response(new Blob(parts), { headers: { "Content-Type": "application/connect+json" } });
}

test("streams carry the token and last as long as they like", async () => {
  const fetch = vi.fn<typeof globalThis.fetch>(() =>
    Promise.resolve(streamed([{ resumeToken: "a" }, { events: [{ id: "1" }], resumeToken: "b" }], {})),
  );
  const session = { accessToken: () => Promise.resolve("secret") };
  const transport = createIntimeTransport({ baseUrl: "https://intime.example.com", session, fetch });
  const tokens = [];
  for await (const message of createClient(EventService, transport).watchEvents({})) tokens.push(message.resumeToken);
  expect(tokens).toEqual(["a", "b"]);
  const headers = new Headers(fetch.mock.calls[0]?.[1]?.headers);
  expect(headers.get("authorization")).toBe("Bearer secret");
  expect(headers.get("connect-timeout-ms")).toBeNull();
});

test("a stream may be given a timeout", async () => {
  const fetch = vi.fn<typeof globalThis.fetch>(() => Promise.resolve(streamed([], {})));
  const transport = createIntimeTransport({ baseUrl: "https://intime.example.com", fetch });
  for await (const message of createClient(EventService, transport).watchEvents({}, { timeoutMs: 5000 }))
    expect(message).toBeUndefined();
  expect(new Headers(fetch.mock.calls[0]?.[1]?.headers).get("connect-timeout-ms")).toBe("5000");
});

test("a stream whose token has ended fails, and there is a new token for the next", async () => {
  const refresh = vi.fn(() => Promise.resolve("newer"));
  const session = { accessToken: () => Promise.resolve("old"), refresh };
  for (const code of ["unauthenticated", "unavailable"]) {
    refresh.mockClear();
    const fetch = () => Promise.resolve(streamed([{ resumeToken: "a" }], { error: { code, message: "over" } }));
    const transport = createIntimeTransport({ baseUrl: "https://intime.example.com", session, fetch });
    const tokens: string[] = [];
    const watch = async () => {
      for await (const message of createClient(EventService, transport).watchEvents({}))
        tokens.push(message.resumeToken);
    };
    const failed = await watch().catch((err: unknown) => ConnectError.from(err));
    expect(failed).toMatchObject({ code: code === "unauthenticated" ? Code.Unauthenticated : Code.Unavailable });
    expect(tokens).toEqual(["a"]);
    expect(refresh.mock.calls).toEqual(code === "unauthenticated" ? [["old"]] : []);
  }
});
