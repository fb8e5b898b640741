import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type Transport, createClient, createRouterTransport } from "@connectrpc/connect";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Session } from "../src/index.js";
import { JobService } from "../src/service/job.js";
import { SessionService } from "../src/service/session.js";
import { authorize } from "../src/transport.js";

const minute = 60_000;

/** A server that knows whether there is a cookie, and which tokens it has given out and taken back. */
function setup() {
  const server = {
    cookie: true,
    refreshes: 0,
    calls: 0,
    created: 0,
    accepted: new Set<string>(),
    failure: undefined as Code | undefined,
  };
  const accessToken = () => {
    const token = `token-${++server.refreshes}`;
    server.accepted.add(token);
    return { accessToken: { token, expiresAt: timestampFromMs(Date.now() + 5 * minute) } };
  };
  const check = (header: Headers) => {
    server.calls++;
    const token = header.get("authorization")?.replace("Bearer ", "") ?? "";
    if (!server.accepted.has(token)) throw new ConnectError("This token is not accepted.", Code.Unauthenticated);
  };
  const transportWith = (session?: Session): Transport =>
    createRouterTransport(
      ({ service }) => {
        service(SessionService, {
          signInAsDemoPerson: () => {
            server.cookie = true;
            return accessToken();
          },
          refreshSession: () => {
            if (server.failure !== undefined) throw new ConnectError("No.", server.failure);
            if (!server.cookie) throw new ConnectError("There is no session.", Code.Unauthenticated);
            return accessToken();
          },
          signOut: () => {
            if (server.failure !== undefined) throw new ConnectError("No.", server.failure);
            server.cookie = false;
            return {};
          },
        });
        service(JobService, {
          getJob: (_, { requestHeader }) => {
            check(requestHeader);
            return {};
          },
          createJob: (_, { requestHeader }) => {
            check(requestHeader);
            server.created++;
            return {};
          },
        });
      },
      { transport: { interceptors: session ? [authorize(session)] : [] } },
    );
  const session = new Session({ transport: transportWith() });
  const jobs = createClient(JobService, transportWith(session));
  return { server, session, jobs };
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe("restore", () => {
  test("turns the cookie into a token", async () => {
    const { session } = setup();
    expect(session.getState()).toEqual({ status: "unknown" });
    expect(await session.restore()).toMatchObject({ status: "signed-in" });
    expect(await session.accessToken()).toBe("token-1");
  });

  test("is signed out without a cookie", async () => {
    const { session, server } = setup();
    server.cookie = false;
    expect(await session.restore()).toEqual({ status: "signed-out" });
    expect(await session.accessToken()).toBeUndefined();
  });

  test("knows nothing when the server cannot be asked", async () => {
    const { session, server } = setup();
    server.failure = Code.Unavailable;
    await expect(session.restore()).rejects.toThrow(ConnectError);
    expect(session.getState()).toEqual({ status: "unknown" });
  });
});

describe("a token", () => {
  test("is renewed a minute before it ends, without the person being another", async () => {
    const { session, server } = setup();
    await session.restore();
    const states = vi.fn();
    session.subscribe(states);
    await vi.advanceTimersByTimeAsync(4 * minute + 1000);
    expect(server.refreshes).toBe(2);
    expect(await session.accessToken()).toBe("token-2");
    expect(states).not.toHaveBeenCalled();
  });

  test("that the server rejects is replaced, once, for all calls that are safe to repeat", async () => {
    const { session, server, jobs } = setup();
    await session.restore();
    server.accepted.clear();
    await Promise.all([jobs.getJob({}), jobs.getJob({}), jobs.getJob({})]);
    expect(server.refreshes).toBe(2);
    expect(server.calls).toBe(6);
  });

  test("that the server rejects is replaced for the next call where the first must not be repeated", async () => {
    const { session, server, jobs } = setup();
    await session.restore();
    server.accepted.clear();
    await expect(jobs.createJob({})).rejects.toMatchObject({ code: Code.Unauthenticated });
    expect(server.created).toBe(0);
    await jobs.createJob({});
    expect(server.created).toBe(1);
  });

  test("that cannot be replaced ends the session", async () => {
    const { session, server, jobs } = setup();
    await session.restore();
    server.accepted.clear();
    server.cookie = false;
    await expect(jobs.getJob({})).rejects.toMatchObject({ code: Code.Unauthenticated });
    expect(session.getState()).toEqual({ status: "signed-out" });
  });

  test("survives that the server is away for a while", async () => {
    const { session, server } = setup();
    await session.restore();
    server.failure = Code.Unavailable;
    await expect(session.refresh()).rejects.toMatchObject({ code: Code.Unavailable });
    expect(session.getState()).toMatchObject({ status: "signed-in" });
    expect(await session.accessToken()).toBe("token-1");
  });

  test("from elsewhere is used until it ends, and not renewed", async () => {
    const { session, server, jobs } = setup();
    const exp = Math.floor(Date.now() / 1000) + 60;
    const jwt = `e30.${btoa(JSON.stringify({ exp }))}.signature`;
    server.accepted.add(jwt);
    session.signInWithToken(jwt);
    await jobs.getJob({});
    await vi.advanceTimersByTimeAsync(2 * minute);
    expect(session.getState()).toEqual({ status: "signed-out" });
    expect(server.refreshes).toBe(0);
  });
});

describe("signing in and out", () => {
  test("tells listeners that it may be somebody else", async () => {
    const { session } = setup();
    const first = await session.restore();
    await session.signInAsDemoPerson("ana@acme.example");
    expect(session.getState()).toMatchObject({ status: "signed-in" });
    expect(session.getState()).not.toEqual(first);
  });

  test("forgets the token", async () => {
    const { session, server } = setup();
    await session.restore();
    await session.signOut();
    expect(server.cookie).toBe(false);
    expect(session.getState()).toEqual({ status: "signed-out" });
    expect(await session.accessToken()).toBeUndefined();
  });

  test("stays signed in where the server cannot be told", async () => {
    const { session, server } = setup();
    await session.restore();
    server.failure = Code.Unavailable;
    await expect(session.signOut()).rejects.toThrow(ConnectError);
    expect(session.getState()).toMatchObject({ status: "signed-in" });
  });

  test("drops a token that comes in for somebody who has left", async () => {
    const { session } = setup();
    await session.restore();
    const renewal = session.refresh();
    await session.signOut();
    await renewal.catch(() => undefined);
    expect(session.getState()).toEqual({ status: "signed-out" });
    expect(await session.accessToken()).toBeUndefined();
  });
});
