"use client";

import { type Attempt, AttemptOutcome, type Delivery, DeliveryStatus } from "@intime/client/event";
import { type LucideIcon, Circle, Hourglass } from "lucide-react";
import { AbsoluteTime } from "@/components/time";
import { type Tone, toneText } from "@/components/ui/badge";
import { useClock } from "@/lib/clock";
import { cn } from "@/lib/cn";
import { useStored } from "@/lib/stored";
import { duration, msOf, relativeTime, timeOfDay, zone } from "@/lib/time";
import { StatusBadge, attemptOutcomes, deliveryStatuses } from "./status";

/** What became of an event at one handler: published, each attempt, and how it ended or goes on. */
export function DeliveryTimeline({ delivery, publishedAt }: { delivery: Delivery; publishedAt: number }) {
  const { attempts, status } = delivery;
  const counted = delivery.maxAttempts > 0 ? `${delivery.attemptCount} of ${delivery.maxAttempts} attempts` : "";
  return (
    <div className="rounded-lg border">
      <div className="flex flex-wrap items-center justify-between gap-x-3 gap-y-1 border-b px-3 py-2">
        <h4 className="font-medium wrap-anywhere">{delivery.handlerName}</h4>
        <span className="flex items-center gap-2">
          <span className="text-muted-foreground text-xs tabular-nums">{counted}</span>
          <StatusBadge shown={deliveryStatuses[status]} />
        </span>
      </div>
      <ol className="p-3">
        <Step icon={Circle} tone="neutral" title="Published" at={publishedAt} />
        {attempts.map((attempt, i) => (
          <AttemptStep
            key={attempt.number}
            attempt={attempt}
            since={msOf(attempts[i - 1]?.finishedAt) ?? publishedAt}
          />
        ))}
        <Outlook delivery={delivery} />
      </ol>
    </div>
  );
}

function AttemptStep({ attempt, since }: { attempt: Attempt; since: number }) {
  const { label, tone, icon } = attemptOutcomes[attempt.outcome];
  const startedAt = msOf(attempt.startedAt);
  const finishedAt = msOf(attempt.finishedAt);
  const times = [
    startedAt !== undefined && `waited ${duration(startedAt - since)}`,
    startedAt !== undefined && finishedAt !== undefined && `ran ${duration(finishedAt - startedAt)}`,
    attempt.worker && `on ${attempt.worker}`,
    attempt.workerVersion && `version ${attempt.workerVersion}`,
  ].filter(Boolean);
  return (
    <Step icon={icon} tone={tone} title={`Attempt ${attempt.number}: ${label.toLowerCase()}`} at={startedAt}>
      <p className="text-muted-foreground text-xs">{times.join(" · ")}</p>
      {attempt.errorMessage && <ErrorText text={attempt.errorMessage} />}
    </Step>
  );
}

/** How the delivery goes on, or why it does not; nothing where the last attempt has said it all. */
function Outlook({ delivery }: { delivery: Delivery }) {
  const { status, reason, attempts } = delivery;
  const nextAt = msOf(delivery.nextAttemptAt);
  const when = useClock(
    (now) => (nextAt === undefined ? "" : nextAt <= now ? "now due" : relativeTime(nextAt, now)),
    "",
  );
  const last = attempts.at(-1);
  const { about, icon, tone } = deliveryStatuses[status];

  switch (status) {
    case DeliveryStatus.SKIPPED:
      return <Step icon={icon} tone={tone} title="Skipped" at={msOf(delivery.finishedAt)} body={reason || about} />;
    case DeliveryStatus.DISCARDED:
      return <Step icon={icon} tone={tone} title="Discarded" at={msOf(delivery.finishedAt)} body={reason || about} />;
    case DeliveryStatus.DEAD_LETTER:
      return (
        <Step
          icon={icon}
          tone={tone}
          title="Given up"
          at={msOf(delivery.finishedAt)}
          body={reason === last?.errorMessage ? "" : reason}
        />
      );
    case DeliveryStatus.PENDING:
    case DeliveryStatus.FAILED:
      return (
        <Step icon={Hourglass} tone="neutral" title={when ? `Next attempt ${when}` : "Waits for its next attempt"}>
          {nextAt !== undefined && <AbsoluteTime ms={nextAt} className="text-muted-foreground text-xs" />}
        </Step>
      );
    case DeliveryStatus.RUNNING:
      // The attempt that runs may be in the list already, without an outcome.
      return last?.outcome === AttemptOutcome.UNSPECIFIED ? null : <Step icon={icon} tone={tone} title="Running" />;
    default:
      return null;
  }
}

function Step({
  icon: Icon,
  tone,
  title,
  at,
  body,
  children,
}: {
  icon: LucideIcon;
  tone: Tone;
  title: string;
  at?: number | undefined;
  body?: string;
  children?: React.ReactNode;
}) {
  const chosenZone = useStored(zone, "utc");
  return (
    <li className="group/step relative flex gap-2.5 pb-3 last:pb-0">
      <span aria-hidden className="bg-border absolute top-4 bottom-0 left-[7px] w-px group-last/step:hidden" />
      <Icon className={cn("bg-card relative mt-0.5 size-4 shrink-0 p-px", toneText[tone])} aria-hidden />
      <div className="min-w-0 flex-1 space-y-1">
        <div className="flex flex-wrap justify-between gap-x-3">
          <span className="font-medium">{title}</span>
          {at !== undefined && (
            <time dateTime={new Date(at).toISOString()} className="text-muted-foreground font-mono text-xs leading-5">
              {timeOfDay(at, chosenZone)}
            </time>
          )}
        </div>
        {body && <p className="text-muted-foreground wrap-anywhere">{body}</p>}
        {children}
      </div>
    </li>
  );
}

function ErrorText({ text }: { text: string }) {
  return (
    <pre
      tabIndex={0}
      aria-label="Error"
      className="bg-danger-subtle text-danger max-h-40 overflow-auto rounded-md px-2 py-1.5 font-mono text-xs leading-5 wrap-anywhere whitespace-pre-wrap"
    >
      {text}
    </pre>
  );
}
