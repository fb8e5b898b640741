"use client";

import { useQuery } from "@connectrpc/connect-query";
import { UserService } from "@intime/client/user";
import { useRouter } from "next/navigation";
import { useEffect, useState } from "react";
import { useSession, useSessionState } from "@/components/providers";
import { ErrorState } from "@/components/states";
import { MeContext } from "@/hooks/use-me";
import { ShellSkeleton } from "./shell-skeleton";

/** Shows its children to whoever is signed in, and sends everybody else to sign in and back. */
export function SignedIn({ children }: { children: React.ReactNode }) {
  const session = useSession();
  const state = useSessionState();
  const router = useRouter();
  const [failure, setFailure] = useState<unknown>();

  function restore() {
    setFailure(undefined);
    session.restore().catch(setFailure);
  }

  useEffect(() => {
    if (state.status === "unknown") session.restore().catch(setFailure);
    if (state.status === "signed-out") {
      const here = window.location.pathname + window.location.search;
      router.replace(`/sign-in/?next=${encodeURIComponent(here)}`);
    }
  }, [state, session, router]);

  if (state.status === "signed-in") return <WithMe key={state.person}>{children}</WithMe>;
  if (failure !== undefined) {
    return (
      <main className="pt-16">
        <ErrorState title="InTime cannot be reached" error={failure} onRetry={restore} />
      </main>
    );
  }
  return <ShellSkeleton />;
}

function WithMe({ children }: { children: React.ReactNode }) {
  const me = useQuery(UserService.method.getMe, {}, { staleTime: 60_000 });
  if (me.data) return <MeContext value={me.data}>{children}</MeContext>;
  if (me.error) {
    return (
      <main className="pt-16">
        <ErrorState title="Your profile could not be loaded" error={me.error} onRetry={() => void me.refetch()} />
      </main>
    );
  }
  return <ShellSkeleton />;
}
