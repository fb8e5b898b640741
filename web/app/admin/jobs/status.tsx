import { JobStatus } from "@intime/client/job";
import { CircleCheck, CircleDashed, CircleDot, CircleSlash, type LucideIcon } from "lucide-react";
import { type Tone, toneText } from "@/components/ui/badge";

export const jobStatuses: Record<JobStatus, { label: string; tone: Tone; icon: LucideIcon }> = {
  [JobStatus.UNSPECIFIED]: { label: "Unknown", tone: "neutral", icon: CircleDashed },
  [JobStatus.OPEN]: { label: "Open", tone: "info", icon: CircleDot },
  [JobStatus.FILLED]: { label: "Filled", tone: "success", icon: CircleCheck },
  [JobStatus.CLOSED]: { label: "Closed", tone: "neutral", icon: CircleSlash },
};

export function JobStatusLabel({ status }: { status: JobStatus }) {
  const { label, tone, icon: Icon } = jobStatuses[status];
  return (
    <span className="text-muted-foreground flex items-center gap-1.5 text-xs font-medium">
      <Icon aria-hidden className={`size-3.5 ${toneText[tone]}`} />
      {label}
    </span>
  );
}
