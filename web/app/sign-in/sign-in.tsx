"use client";

import { useQuery } from "@connectrpc/connect-query";
import { messageOf } from "@intime/client";
import { SessionService } from "@intime/client/session";
import { useRouter, useSearchParams } from "next/navigation";
import { useCallback, useEffect, useRef, useState } from "react";
import { useSession, useSessionState } from "@/components/providers";
import { ErrorState } from "@/components/states";
import { Skeleton } from "@/components/ui/skeleton";
import { nextPath } from "@/lib/next-path";
import { announceSession } from "@/lib/session";
import { DemoPeople } from "./demo-people";
import { TokenForm } from "./token-form";

/** The ways to sign in that the server offers. `?as=` signs in as that person at once, `?next=` says where to go then. */
export function SignIn() {
  const session = useSession();
  const state = useSessionState();
  const router = useRouter();
  const params = useSearchParams();
  const as = params.get("as");
  const next = params.get("next");
  const options = useQuery(SessionService.method.getSignInOptions, {}, { staleTime: 60_000 });
  const [pending, setPending] = useState(as ?? "");
  const [failure, setFailure] = useState<unknown>();
  const started = useRef(false);
  const left = useRef(false);

  const leave = useCallback(() => {
    if (left.current) return;
    left.current = true;
    router.replace(nextPath(next, window.location.origin));
  }, [router, next]);

  const signInAs = useCallback(
    (email: string) =>
      session.signInAsDemoPerson(email).then(
        () => {
          announceSession();
          leave();
        },
        (err: unknown) => {
          setFailure(err);
          setPending("");
        },
      ),
    [session, leave],
  );

  useEffect(() => {
    if (started.current) return;
    started.current = true;
    if (as) void signInAs(as);
    // Somebody may be signed in already. If the server cannot say so, it says why below.
    else if (state.status === "unknown") session.restore().catch(() => undefined);
  }, [as, signInAs, session, state]);

  useEffect(() => {
    if (state.status === "signed-in" && !as) leave();
  }, [state, as, leave]);

  function choose(email: string) {
    setPending(email);
    setFailure(undefined);
    void signInAs(email);
  }

  if (options.error) {
    return (
      <ErrorState
        title="The ways to sign in could not be loaded"
        error={options.error}
        onRetry={() => void options.refetch()}
      />
    );
  }
  if (!options.data) return <SignInSkeleton />;
  return (
    <div className="space-y-6">
      {failure !== undefined && (
        <p role="alert" className="bg-danger-subtle border-danger-line text-danger rounded-lg border px-3 py-2">
          {messageOf(failure)}
        </p>
      )}
      {options.data.demoPeople.length > 0 ? (
        <DemoPeople people={options.data.demoPeople} pending={pending} onChoose={choose} />
      ) : (
        <TokenForm onToken={(token) => session.signInWithToken(token)} />
      )}
    </div>
  );
}

function SignInSkeleton() {
  return (
    <div role="status" aria-label="Loading" className="grid gap-2 sm:grid-cols-2">
      {Array.from({ length: 6 }, (_, i) => (
        <Skeleton key={i} className="h-16 rounded-lg" />
      ))}
    </div>
  );
}
