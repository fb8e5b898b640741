"use client";

import { Bomb } from "lucide-react";
import { useEffect } from "react";
import { Button } from "@/components/ui/button";
import { State } from "./states";

/** Stands where a page broke. */
export function Crash({ error }: { error: Error }) {
  useEffect(() => console.error(error), [error]);
  return (
    <State
      icon={<Bomb />}
      tone="danger"
      title="This page has broken"
      actions={
        <>
          <Button onClick={() => window.location.reload()}>Reload page</Button>
          {/* A whole new page: what is in memory is not to be trusted any more. */}
          <Button variant="outline" onClick={() => window.location.assign("/")}>
            Go home
          </Button>
        </>
      }
    >
      <p>Something went wrong in the browser, not on the server. What you had saved is safe.</p>
    </State>
  );
}
