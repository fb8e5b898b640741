import { Session, createIntimeTransport } from "@intime/client";

/** Creates what the page calls the server with: the person's session, and the transport that carries it. */
export function createConnection() {
  const session = new Session({ transport: createIntimeTransport({ baseUrl: "/" }) });
  return { session, transport: createIntimeTransport({ baseUrl: "/", session }) };
}

export type Connection = ReturnType<typeof createConnection>;

const channelName = "intime.session";

/** Tells the browser's other pages that another person is signed in now, or nobody. */
export function announceSession() {
  if (typeof BroadcastChannel === "undefined") return;
  const channel = new BroadcastChannel(channelName);
  channel.postMessage("changed");
  channel.close();
}

/** Takes up the session again when another page of this browser has signed in or out. */
export function followSession(session: Session): () => void {
  if (typeof BroadcastChannel === "undefined") return () => undefined;
  const channel = new BroadcastChannel(channelName);
  channel.onmessage = () => void session.restore().catch(() => undefined);
  return () => channel.close();
}
