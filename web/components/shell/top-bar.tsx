"use client";

import { useQuery } from "@connectrpc/connect-query";
import { SessionService } from "@intime/client/session";
import { Building2, Keyboard, Menu } from "lucide-react";
import dynamic from "next/dynamic";
import { useState } from "react";
import { Badge } from "@/components/ui/badge";
import { Button } from "@/components/ui/button";
import { useMe } from "@/hooks/use-me";
import { ThemeSwitch } from "./theme-switch";
import { UserMenu } from "./user-menu";

const NavigationSheet = dynamic(() => import("./navigation-sheet").then((sheet) => sheet.NavigationSheet), {
  ssr: false,
});

export function TopBar({ onShortcuts }: { onShortcuts: () => void }) {
  const { organization } = useMe();
  const options = useQuery(SessionService.method.getSignInOptions, {}, { staleTime: Infinity });
  const environment = options.data?.environment;
  return (
    <header className="bg-card flex h-12 shrink-0 items-center gap-1 border-b px-2 sm:px-3">
      <NavigationButton />
      <div className="flex min-w-0 items-center gap-2 px-1">
        <Building2 className="text-muted-foreground size-4 shrink-0 max-sm:hidden" aria-hidden />
        <span className="truncate font-medium" title="The organisation you are signed in to">
          {organization?.name}
        </span>
        {environment && <Badge title="The environment of this server">{environment}</Badge>}
      </div>
      <div className="ml-auto flex items-center gap-0.5">
        <Button
          variant="ghost"
          size="icon"
          className="max-sm:hidden"
          onClick={onShortcuts}
          aria-label="Keyboard shortcuts"
          title="Keyboard shortcuts (?)"
        >
          <Keyboard />
        </Button>
        <ThemeSwitch />
        <UserMenu />
      </div>
    </header>
  );
}

function NavigationButton() {
  const [open, setOpen] = useState(false);
  return (
    <>
      <Button
        variant="ghost"
        size="icon"
        className="lg:hidden"
        aria-label="Open the navigation"
        aria-haspopup="dialog"
        onClick={() => setOpen(true)}
      >
        <Menu />
      </Button>
      {open && <NavigationSheet onClose={() => setOpen(false)} />}
    </>
  );
}
