import { type DescMethod } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel as Idempotency } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type Interceptor, type Transport } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { isPublic } from "./permission.js";

/** Where access tokens come from; a Session is one. */
export interface TokenSource {
  /** Returns a token to call with, or undefined where nobody is signed in. */
  accessToken(): Promise<string | undefined>;
  /** Returns a token newer than the one the server rejected; throws where there is none. */
  refresh?(rejected: string): Promise<string | undefined>;
}

export interface IntimeTransportOptions {
  /** The address of the server, for example "https://intime.example.com", or "/" for the page's own. */
  baseUrl: string;
  /** Where access tokens come from. Without it only public methods can be called. */
  session?: TokenSource;
  /** Interceptors that see a call before it is authorised. */
  interceptors?: Interceptor[];
  /**
   * How long a call may take, in milliseconds; 30,000 where not given. The server stops work at the same time. Streams last
   * until they are left.
   */
  timeoutMs?: number;
  /** Replaces the browser's fetch. */
  fetch?: typeof globalThis.fetch;
}

/**
 * Returns the transport for InTime's services. It speaks the Connect protocol in JSON, always by POST: what a person
 * searches for stays out of addresses, and out of the logs and caches that keep them.
 */
export function createIntimeTransport(options: IntimeTransportOptions): Transport {
  const { baseUrl, session, interceptors = [], timeoutMs = 30_000, fetch } = options;
  const transport = createConnectTransport({
    baseUrl,
    defaultTimeoutMs: timeoutMs,
    // The last one is closest to the wire.
    interceptors: session ? [...interceptors, authorize(session)] : interceptors,
    ...(fetch && { fetch }),
  });
  return {
    unary: transport.unary.bind(transport),
    stream: (method, signal, streamTimeoutMs, ...rest) =>
      transport.stream(method, signal, streamTimeoutMs ?? 0, ...rest), // 0: no timeout
  };
}

/**
 * Adds the bearer token to calls that need one. When the server rejects it, a call that is safe to repeat is repeated
 * once with a new token; any other call fails, and the new token is there for the next. A stream learns in its messages
 * that its token was rejected, or has ended meanwhile.
 */
export function authorize(source: TokenSource): Interceptor {
  return (next) => async (req) => {
    if (isPublic(req.method)) return next(req);
    const token = await source.accessToken();
    if (token === undefined) return next(req);
    req.header.set("Authorization", `Bearer ${token}`);
    try {
      const res = await next(req);
      return res.stream ? { ...res, message: renewing(res.message, source, token) } : res;
    } catch (err) {
      if (ConnectError.from(err).code !== Code.Unauthenticated || !source.refresh) throw err;
      const renewed = await source.refresh(token);
      if (renewed === undefined || req.stream || !isRepeatable(req.method)) throw err;
      req.header.set("Authorization", `Bearer ${renewed}`);
      return next(req);
    }
  };
}

/** Passes the messages on. When they end because the token is not good any more, a new one is there for the next try. */
async function* renewing<T>(messages: AsyncIterable<T>, source: TokenSource, token: string): AsyncIterable<T> {
  try {
    yield* messages;
  } catch (err) {
    if (ConnectError.from(err).code === Code.Unauthenticated) {
      // What matters is the error of the stream; that there is no new token, the next call will say.
      await source.refresh?.(token).catch(() => undefined);
    }
    throw err;
  }
}

function isRepeatable(method: DescMethod): boolean {
  return method.idempotency === Idempotency.NO_SIDE_EFFECTS || method.idempotency === Idempotency.IDEMPOTENT;
}
