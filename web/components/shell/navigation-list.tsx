"use client";

import Link from "next/link";
import { usePathname, useRouter } from "next/navigation";
import { useMe } from "@/hooks/use-me";
import { cn } from "@/lib/cn";
import { navigation } from "./navigation";

export function Navigation({ onGo }: { onGo?: () => void }) {
  const pathname = usePathname();
  const router = useRouter();
  const { permissions } = useMe();
  return (
    <nav aria-label="Main" className="p-2">
      <ul className="space-y-0.5">
        {navigation
          .filter(({ permission }) => permissions.some(({ name }) => name === permission))
          .map(({ href, label, icon: Icon }) => {
            const current = pathname.startsWith(href);
            return (
              <li key={href}>
                <Link
                  href={href}
                  // A page is fetched when somebody is about to go there, not with every other page.
                  prefetch={false}
                  onPointerEnter={() => router.prefetch(href)}
                  onFocus={() => router.prefetch(href)}
                  onClick={onGo}
                  aria-current={current ? "page" : undefined}
                  className={cn(
                    "text-muted-foreground hover:bg-accent hover:text-foreground flex h-8 items-center gap-2.5 rounded-md px-2 font-medium",
                    current && "bg-accent text-foreground",
                  )}
                >
                  <Icon className="size-4" aria-hidden />
                  {label}
                </Link>
              </li>
            );
          })}
      </ul>
    </nav>
  );
}
