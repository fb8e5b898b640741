import type { DescMethod } from "@bufbuild/protobuf";
import { EventService } from "@intime/client/event";
import { JobService } from "@intime/client/job";
import { type LucideIcon, BriefcaseBusiness, Zap } from "lucide-react";

export interface NavigationEntry {
  href: string;
  label: string;
  icon: LucideIcon;
  /** The key that goes there, after "g". */
  key: string;
  /** What the page shows first: who may not call it does not see the entry. */
  method: DescMethod;
}

export const navigation: readonly NavigationEntry[] = [
  { href: "/admin/events/", label: "Events", icon: Zap, key: "e", method: EventService.method.listEvents },
  { href: "/admin/jobs/", label: "Jobs", icon: BriefcaseBusiness, key: "j", method: JobService.method.listJobs },
];
