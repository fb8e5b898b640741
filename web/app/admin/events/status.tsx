import { AttemptOutcome, DeliveryStatus, EventStatus } from "@intime/client/event";
import {
  type LucideIcon,
  Ban,
  CircleCheck,
  CircleDashed,
  CircleX,
  Clock,
  LoaderCircle,
  RotateCw,
  SkipForward,
  TriangleAlert,
} from "lucide-react";
import { Badge, type Tone, toneText } from "@/components/ui/badge";

interface Shown {
  label: string;
  tone: Tone;
  icon: LucideIcon;
  /** A sentence that says what it means. */
  about: string;
}

export const eventStatuses: Record<EventStatus, Shown> = {
  [EventStatus.UNSPECIFIED]: {
    label: "Unknown",
    tone: "neutral",
    icon: CircleDashed,
    about: "The server did not say.",
  },
  [EventStatus.PENDING]: { label: "Pending", tone: "info", icon: Clock, about: "A handler has not finished yet." },
  [EventStatus.PROCESSED]: {
    label: "Processed",
    tone: "success",
    icon: CircleCheck,
    about: "Every handler finished or was skipped, or nobody listens.",
  },
  [EventStatus.FAILED]: {
    label: "Failed",
    tone: "warning",
    icon: RotateCw,
    about: "A handler failed and will be tried again.",
  },
  [EventStatus.DEAD_LETTER]: {
    label: "Dead letter",
    tone: "danger",
    icon: CircleX,
    about: "A handler failed for good.",
  },
};

export const deliveryStatuses: Record<DeliveryStatus, Shown> = {
  [DeliveryStatus.UNSPECIFIED]: {
    label: "Unknown",
    tone: "neutral",
    icon: CircleDashed,
    about: "The server did not say.",
  },
  [DeliveryStatus.PENDING]: { label: "Pending", tone: "info", icon: Clock, about: "Waits for its first attempt." },
  [DeliveryStatus.RUNNING]: { label: "Running", tone: "info", icon: LoaderCircle, about: "An attempt is running." },
  [DeliveryStatus.SUCCEEDED]: { label: "Succeeded", tone: "success", icon: CircleCheck, about: "Ended well." },
  [DeliveryStatus.FAILED]: { label: "Failed", tone: "warning", icon: RotateCw, about: "Waits for its next attempt." },
  [DeliveryStatus.DEAD_LETTER]: { label: "Dead letter", tone: "danger", icon: CircleX, about: "Failed for good." },
  [DeliveryStatus.SKIPPED]: {
    label: "Skipped",
    tone: "neutral",
    icon: SkipForward,
    about: "The handler was disabled when the event was dispatched.",
  },
  [DeliveryStatus.DISCARDED]: {
    label: "Discarded",
    tone: "neutral",
    icon: Ban,
    about: "Was a dead letter, and somebody discarded it.",
  },
};

export const attemptOutcomes: Record<AttemptOutcome, Shown> = {
  [AttemptOutcome.UNSPECIFIED]: { label: "Running", tone: "info", icon: LoaderCircle, about: "It has not ended yet." },
  [AttemptOutcome.SUCCEEDED]: {
    label: "Succeeded",
    tone: "success",
    icon: CircleCheck,
    about: "The handler succeeded.",
  },
  [AttemptOutcome.FAILED]: { label: "Failed", tone: "danger", icon: CircleX, about: "The handler returned an error." },
  [AttemptOutcome.PANICKED]: { label: "Panicked", tone: "danger", icon: TriangleAlert, about: "The handler panicked." },
  [AttemptOutcome.TIMED_OUT]: {
    label: "Timed out",
    tone: "danger",
    icon: Clock,
    about: "The handler ran out of its time.",
  },
  [AttemptOutcome.CRASHED]: {
    label: "Crashed",
    tone: "danger",
    icon: TriangleAlert,
    about: "The process ended without a word.",
  },
  [AttemptOutcome.INTERRUPTED]: {
    label: "Interrupted",
    tone: "neutral",
    icon: Ban,
    about: "The process was shut down, or the database was lost. This attempt does not count.",
  },
};

export function StatusBadge({ shown: { label, tone, icon: Icon, about } }: { shown: Shown }) {
  return (
    // What ended well stays quiet, so that the rest stands out.
    <Badge
      tone={tone}
      title={about}
      className={
        tone === "success" ? "text-muted-foreground [&>svg]:text-success border-transparent bg-transparent" : ""
      }
    >
      <Icon aria-hidden />
      {label}
    </Badge>
  );
}

export function StatusLabel({ shown: { label, tone, icon: Icon } }: { shown: Shown }) {
  return (
    <span className="inline-flex items-center gap-1.5">
      <Icon className={`size-3.5 shrink-0 ${toneText[tone]}`} aria-hidden />
      {label}
    </span>
  );
}
