"use client";

import { TransportProvider } from "@connectrpc/connect-query";
import type { Session, SessionState } from "@intime/client";
import { QueryClientProvider } from "@tanstack/react-query";
import dynamic from "next/dynamic";
import { createContext, use, useEffect, useState, useSyncExternalStore } from "react";
import { createQueryClient } from "@/lib/query-client";
import { type Connection, createConnection, followSession } from "@/lib/session";
import { followTheme } from "@/lib/theme";

// Toasts come after something was done: the page opens without them.
const Toaster = dynamic(() => import("@/components/ui/sonner").then((sonner) => sonner.Toaster), { ssr: false });

const SessionContext = createContext<Session | undefined>(undefined);

/** Everything that the pages share: the connection to the server, the session, what was loaded, the theme, toasts. */
export function Providers({
  children,
  connect = createConnection,
}: {
  children: React.ReactNode;
  connect?: () => Connection;
}) {
  const [{ session, transport }] = useState(connect);
  const [queryClient] = useState(createQueryClient);

  useEffect(followTheme, []);
  useEffect(() => followSession(session), [session]);
  useEffect(() => {
    let before = session.getState();
    return session.subscribe(() => {
      // What one person has loaded is not for the next.
      if (before.status === "signed-in") queryClient.clear();
      before = session.getState();
    });
  }, [session, queryClient]);

  return (
    <SessionContext value={session}>
      <TransportProvider transport={transport}>
        <QueryClientProvider client={queryClient}>
          {children}
          <Toaster />
        </QueryClientProvider>
      </TransportProvider>
    </SessionContext>
  );
}

export function useSession(): Session {
  const session = use(SessionContext);
  if (!session) throw new Error("useSession is for components inside Providers");
  return session;
}

const unknown: SessionState = { status: "unknown" };

export function useSessionState(): SessionState {
  const session = useSession();
  return useSyncExternalStore(session.subscribe, session.getState, () => unknown);
}
