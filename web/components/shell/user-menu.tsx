"use client";

import { lazy } from "react";
import { LazyMenu } from "@/components/lazy-menu";
import { Button } from "@/components/ui/button";
import { useMe } from "@/hooks/use-me";
import { initials } from "@/lib/people";

const load = () => import("./user-menu-content");
const UserMenuContent = lazy(() => load().then((menu) => ({ default: menu.UserMenuContent })));

export function UserMenu() {
  const { user } = useMe();
  const trigger = (
    <Button variant="ghost" className="px-1.5">
      <span
        aria-hidden
        className="bg-primary text-primary-foreground flex size-6 items-center justify-center rounded-full text-xs font-semibold"
      >
        {initials(user?.fullName ?? "")}
      </span>
      <span className="sr-only">Account of</span>
      <span className="text-foreground max-w-40 truncate max-md:sr-only">{user?.fullName}</span>
    </Button>
  );
  return (
    <LazyMenu load={load} trigger={trigger}>
      {(menu) => <UserMenuContent {...menu} />}
    </LazyMenu>
  );
}
