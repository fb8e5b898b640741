import { cn } from "@/lib/cn";
import { CopyButton } from "./copy-button";

/** Something to copy: a command, a document. `what` names it for the button. */
export function CodeBlock({ code, what, className }: { code: string; what: string; className?: string }) {
  return (
    <div data-slot="code-block" className={cn("bg-code relative rounded-lg border", className)}>
      <pre
        tabIndex={0}
        aria-label={what}
        className="overflow-x-auto rounded-lg p-3 pr-10 text-left font-mono text-xs leading-5"
      >
        {code}
      </pre>
      <CopyButton text={code} what={what} className="bg-code absolute top-1.5 right-1.5" />
    </div>
  );
}
