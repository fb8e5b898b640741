import { timestampMs } from "@bufbuild/protobuf/wkt";
import { type Client, Code, ConnectError, type Transport, createClient } from "@connectrpc/connect";
import { type AccessToken, SessionService } from "../../gen/ts/intime/session/v1/session_service_pb.js";
import type { TokenSource } from "./transport.js";

/** Whether somebody is signed in. The number changes whenever it may be somebody else than before. */
export type SessionState =
  | { readonly status: "unknown" }
  | { readonly status: "signed-in"; readonly person: number }
  | { readonly status: "signed-out" };

export interface SessionOptions {
  /** A transport without a session of its own: SessionService is public. */
  transport: Transport;
  /** The clock, in milliseconds since 1970. */
  now?: () => number;
}

interface Token {
  value: string;
  expiresAt: number;
  /** Whether a cookie stands behind it that gives a new one. */
  renewable: boolean;
}

/** A token is renewed this long before it ends, so that no call has to wait for it. */
const renewBeforeMs = 60_000;
/** A new token counts as good for this long at least, whatever this machine's clock makes of its end. */
const trustMs = 20_000;

/**
 * A person's session. The access token lives in this object and nowhere else; what outlives the page is a cookie that
 * no script can read, and restore() turns it into a token again.
 */
export class Session implements TokenSource {
  readonly #service: Client<typeof SessionService>;
  readonly #now: () => number;
  readonly #listeners = new Set<() => void>();
  #state: SessionState = { status: "unknown" };
  #token: Token | undefined;
  #person = 0;
  #renewal: Promise<string | undefined> | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor({ transport, now = Date.now }: SessionOptions) {
    this.#service = createClient(SessionService, transport);
    this.#now = now;
  }

  /** Calls a function whenever the state changes, until the returned function is called. */
  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** Returns the state; the same object until it changes. */
  readonly getState = (): SessionState => this.#state;

  /**
   * Takes up the session that the browser's cookie stands for: when a page opens, and when another one has signed in or
   * out. Throws only where the server cannot be asked.
   */
  async restore(): Promise<SessionState> {
    const person = ++this.#person;
    try {
      const { accessToken } = await this.#service.refreshSession({});
      if (person === this.#person) this.#keep(accessToken, true);
    } catch (err) {
      if (ConnectError.from(err).code !== Code.Unauthenticated) throw err;
      if (person === this.#person) this.#drop();
    }
    return this.#state;
  }

  /** Signs in as a person of the demo data; only `intime dev` has them. */
  async signInAsDemoPerson(email: string): Promise<void> {
    const { accessToken } = await this.#service.signInAsDemoPerson({ email });
    this.#person++;
    this.#keep(accessToken, true);
  }

  /** Signs in with a token from elsewhere. It is kept in memory only, and nothing renews it. */
  signInWithToken(value: string): void {
    this.#person++;
    this.#set({ value, expiresAt: expiryOf(value) ?? Infinity, renewable: false });
  }

  /** Ends the session here and on the server. Throws, still signed in, where the server cannot be told. */
  async signOut(): Promise<void> {
    await this.#service.signOut({});
    this.#person++;
    this.#drop();
  }

  async accessToken(): Promise<string | undefined> {
    const token = this.#token;
    if (!token || token.expiresAt > this.#now()) return token?.value;
    return this.refresh(token.value);
  }

  /** Returns a token newer than the rejected one. Calls that need one at the same time share one request. */
  async refresh(rejected?: string): Promise<string | undefined> {
    if (this.#token && rejected !== undefined && rejected !== this.#token.value) return this.#token.value;
    this.#renewal ??= this.#renew().finally(() => (this.#renewal = undefined));
    return this.#renewal;
  }

  /** Forgets the token without telling the server, and stops the timer. */
  close(): void {
    clearTimeout(this.#timer);
    this.#token = undefined;
    this.#listeners.clear();
  }

  async #renew(): Promise<string | undefined> {
    const person = this.#person;
    if (this.#token && !this.#token.renewable) {
      this.#drop();
      throw new ConnectError("The access token has expired.", Code.Unauthenticated);
    }
    try {
      const { accessToken } = await this.#service.refreshSession({});
      if (person === this.#person) this.#keep(accessToken, true);
    } catch (err) {
      if (person === this.#person && ConnectError.from(err).code === Code.Unauthenticated) this.#drop();
      throw err;
    }
    return this.#token?.value;
  }

  #keep(token: AccessToken | undefined, renewable: boolean): void {
    if (!token) throw new ConnectError("The server sent no access token.", Code.Internal);
    const end = token.expiresAt ? timestampMs(token.expiresAt) : Infinity;
    this.#set({ value: token.token, expiresAt: Math.max(end, this.#now() + trustMs), renewable });
  }

  #set(token: Token): void {
    this.#token = token;
    clearTimeout(this.#timer);
    const left = token.expiresAt - this.#now();
    if (Number.isFinite(left)) {
      // Half of what is left, where a token lives for less than two minutes. Timers cannot wait longer than 24 days.
      const wait = token.renewable ? Math.max(left - renewBeforeMs, left / 2) : left;
      this.#timer = setTimeout(() => void this.refresh().catch(() => undefined), Math.min(wait, 2 ** 31 - 1));
    }
    if (this.#state.status !== "signed-in" || this.#state.person !== this.#person) {
      this.#emit({ status: "signed-in", person: this.#person });
    }
  }

  #drop(): void {
    this.#token = undefined;
    clearTimeout(this.#timer);
    if (this.#state.status !== "signed-out") this.#emit({ status: "signed-out" });
  }

  #emit(state: SessionState): void {
    this.#state = state;
    for (const listener of this.#listeners) listener();
  }
}

/** Returns when a JWT ends, in milliseconds since 1970, as it says itself. */
function expiryOf(jwt: string): number | undefined {
  try {
    const payload: unknown = JSON.parse(atob((jwt.split(".")[1] ?? "").replace(/-/g, "+").replace(/_/g, "/")));
    const exp = typeof payload === "object" && payload !== null && "exp" in payload ? payload.exp : undefined;
    return typeof exp === "number" ? exp * 1000 : undefined;
  } catch {
    return undefined;
  }
}
