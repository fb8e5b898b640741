"use client";

import { useRouter } from "next/navigation";
import dynamic from "next/dynamic";
import { useState } from "react";
import { useShortcuts } from "@/hooks/use-shortcuts";
import { Brand } from "./brand";
import { Navigation } from "./navigation-list";
import { navigation } from "./navigation";
import { TopBar } from "./top-bar";

const ShortcutsDialog = dynamic(() => import("./shortcuts-dialog").then((dialog) => dialog.ShortcutsDialog), {
  ssr: false,
});

/** What stands around every page: navigation at the left, the bar at the top. */
export function Shell({ children }: { children: React.ReactNode }) {
  const router = useRouter();
  const [sheet, setSheet] = useState(false);

  useShortcuts({
    "?": () => setSheet(true),
    ...Object.fromEntries(navigation.map(({ key, href }) => [`g ${key}`, () => router.push(href)])),
  });

  return (
    <div className="flex h-dvh">
      <a
        href="#content"
        className="bg-primary text-primary-foreground fixed top-2 left-2 z-50 -translate-y-16 rounded-md px-3 py-2 font-medium focus:translate-y-0"
      >
        Skip to the content
      </a>
      <aside className="bg-sidebar hidden w-52 shrink-0 flex-col border-r lg:flex">
        <Brand />
        <Navigation />
      </aside>
      <div className="flex min-w-0 flex-1 flex-col">
        <TopBar onShortcuts={() => setSheet(true)} />
        <main id="content" tabIndex={-1} className="min-h-0 flex-1 overflow-y-auto outline-none">
          {children}
        </main>
      </div>
      {sheet && <ShortcutsDialog onClose={() => setSheet(false)} />}
    </div>
  );
}
