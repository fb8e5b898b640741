import { cn } from "@/lib/cn";

const field =
  "bg-card border-input placeholder:text-muted-foreground aria-invalid:border-destructive w-full min-w-0 rounded-md border shadow-2xs transition-colors focus-visible:border-ring focus-visible:outline-ring/40 focus-visible:outline-3 focus-visible:outline-offset-0 disabled:cursor-not-allowed disabled:opacity-60";

export function Input({ className, type = "text", ...props }: React.ComponentProps<"input">) {
  return <input data-slot="input" type={type} className={cn(field, "h-8 px-2.5 text-sm", className)} {...props} />;
}

export function Textarea({ className, ...props }: React.ComponentProps<"textarea">) {
  return (
    <textarea
      data-slot="textarea"
      className={cn(field, "field-sizing-content max-h-80 min-h-20 px-2.5 py-1.5 text-sm", className)}
      {...props}
    />
  );
}

export function Select({ className, ...props }: React.ComponentProps<"select">) {
  return <select data-slot="select" className={cn(field, "h-8 px-2 text-sm", className)} {...props} />;
}
