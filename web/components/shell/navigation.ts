import { type LucideIcon, BriefcaseBusiness, Zap } from "lucide-react";

export interface NavigationEntry {
  href: string;
  label: string;
  icon: LucideIcon;
  /** The key that goes there, after "g". */
  key: string;
  /**
   * What the page's first call asks for: who lacks it does not see the entry. It is written out, for every page carries the
   * navigation, and must not carry every page's service with it. A test compares it with the schema.
   */
  permission: string;
}

export const navigation: readonly NavigationEntry[] = [
  { href: "/admin/events/", label: "Events", icon: Zap, key: "e", permission: "event:read" },
  { href: "/admin/jobs/", label: "Jobs", icon: BriefcaseBusiness, key: "j", permission: "job:read" },
];
