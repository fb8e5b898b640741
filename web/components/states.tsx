"use client";

import type { DescMethod } from "@bufbuild/protobuf";
import { CircleAlert, Lock, RotateCw } from "lucide-react";
import { messageOf, permissionOf, requestIdOf } from "@intime/client";
import { Button } from "@/components/ui/button";
import { cn } from "@/lib/cn";
import { ShortId } from "./short-id";

/** What stands where a list or a record would be: what the matter is, and what to do about it. */
export function State({
  icon,
  title,
  tone = "neutral",
  children,
  actions,
  className,
}: {
  icon: React.ReactNode;
  title: string;
  tone?: "neutral" | "danger";
  children?: React.ReactNode;
  actions?: React.ReactNode;
  className?: string;
}) {
  return (
    <div
      data-slot="state"
      role={tone === "danger" ? "alert" : undefined}
      className={cn("mx-auto flex w-full max-w-lg flex-col items-center gap-3 px-4 py-14 text-center", className)}
    >
      <span
        className={cn(
          "flex size-10 items-center justify-center rounded-full border [&_svg]:size-5",
          tone === "danger" ? "bg-danger-subtle border-danger-line text-danger" : "bg-muted text-muted-foreground",
        )}
      >
        {icon}
      </span>
      <h2 className="text-lg font-semibold text-balance">{title}</h2>
      {children && <div className="text-muted-foreground w-full space-y-3 text-sm text-pretty">{children}</div>}
      {actions && <div className="mt-1 flex flex-wrap justify-center gap-2">{actions}</div>}
    </div>
  );
}

/** Says that something could not be loaded, under which id the server's log has it, and offers another try. */
export function ErrorState({ title, error, onRetry }: { title: string; error: unknown; onRetry?: () => void }) {
  const requestId = requestIdOf(error);
  return (
    <State
      icon={<CircleAlert />}
      tone="danger"
      title={title}
      actions={
        onRetry && (
          <Button variant="outline" onClick={onRetry}>
            <RotateCw /> Try again
          </Button>
        )
      }
    >
      <p>{messageOf(error)}</p>
      {requestId && <RequestId id={requestId} />}
    </State>
  );
}

export function RequestId({ id }: { id: string }) {
  return (
    <p className="flex items-center justify-center gap-1 text-xs">
      Request <ShortId id={id} what="request id" />
    </p>
  );
}

/** Says which permission the person lacks. */
export function ForbiddenState({ method, what }: { method: DescMethod; what: string }) {
  return (
    <State icon={<Lock />} title={`You may not ${what}`}>
      <p>
        This needs the permission{" "}
        <code className="bg-muted rounded-sm px-1 py-0.5 font-mono text-xs">{permissionOf(method)}</code>, which none of
        your roles gives you. Ask an admin of your organisation for it.
      </p>
    </State>
  );
}
