"use client";

import { LogOut } from "lucide-react";
import { messageOf } from "@intime/client";
import { toast } from "@/lib/toast";
import type { MenuProps } from "@/components/lazy-menu";
import { useSession } from "@/components/providers";
import { Badge } from "@/components/ui/badge";
import {
  DropdownMenu,
  DropdownMenuContent,
  DropdownMenuItem,
  DropdownMenuLabel,
  DropdownMenuRadioGroup,
  DropdownMenuRadioItem,
  DropdownMenuSeparator,
  DropdownMenuTrigger,
} from "@/components/ui/dropdown-menu";
import { useMe } from "@/hooks/use-me";
import { roleName } from "@/lib/people";
import { announceSession } from "@/lib/session";
import { useStored } from "@/lib/stored";
import { type Zone, zone, zones } from "@/lib/time";

/** Who is signed in, how he wants times shown, and the way out. */
export function UserMenuContent({ trigger, ...menu }: MenuProps) {
  const session = useSession();
  const { user, roles } = useMe();
  const chosenZone = useStored(zone, "local");

  async function signOut() {
    try {
      await session.signOut();
      announceSession();
    } catch (err) {
      toast.error("You are still signed in", { description: messageOf(err) });
    }
  }

  return (
    <DropdownMenu modal={false} {...menu}>
      <DropdownMenuTrigger asChild>{trigger}</DropdownMenuTrigger>
      <DropdownMenuContent align="end" className="w-60">
        <div className="space-y-1 px-2 py-1.5">
          <p className="truncate font-medium">{user?.fullName}</p>
          <p className="text-muted-foreground truncate text-xs">{user?.email}</p>
          <p className="flex flex-wrap gap-1 pt-1">
            {roles.map((role) => (
              <Badge key={role}>{roleName(role)}</Badge>
            ))}
          </p>
        </div>
        <DropdownMenuSeparator />
        <DropdownMenuLabel>Times are shown in</DropdownMenuLabel>
        <DropdownMenuRadioGroup
          value={chosenZone}
          onValueChange={(value) => zone.set(zones.find((z) => z === value) ?? "local")}
        >
          {zones.map((value) => (
            <DropdownMenuRadioItem key={value} value={value} onSelect={(event) => event.preventDefault()}>
              {zoneLabel(value)}
            </DropdownMenuRadioItem>
          ))}
        </DropdownMenuRadioGroup>
        <DropdownMenuSeparator />
        <DropdownMenuItem onSelect={() => void signOut()}>
          <LogOut /> Sign out
        </DropdownMenuItem>
      </DropdownMenuContent>
    </DropdownMenu>
  );
}

function zoneLabel(value: Zone): string {
  return value === "utc" ? "UTC" : `Local time (${Intl.DateTimeFormat().resolvedOptions().timeZone})`;
}
