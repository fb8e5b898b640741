"use client";

import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import { ChevronRight } from "lucide-react";
import { Tabs, TabsContent, TabsList, TabsTrigger } from "@/components/ui/tabs";
import { CodeBlock } from "./code-block";

/** A JSON document as a tree one can fold, and as text one can copy. `what` names it: "payload". */
export function JsonView({ value, what }: { value: JsonObject; what: string }) {
  if (Object.keys(value).length === 0) return <p className="text-muted-foreground">Nothing.</p>;
  return (
    <Tabs defaultValue="tree" className="space-y-2">
      <TabsList aria-label={`How the ${what} is shown`}>
        <TabsTrigger value="tree">Tree</TabsTrigger>
        <TabsTrigger value="json">JSON</TabsTrigger>
      </TabsList>
      <TabsContent value="tree" className="bg-code overflow-x-auto rounded-lg border p-2 font-mono text-xs leading-5">
        <Entries value={value} />
      </TabsContent>
      <TabsContent value="json">
        <CodeBlock code={JSON.stringify(value, null, 2)} what={what} />
      </TabsContent>
    </Tabs>
  );
}

function Entries({ value }: { value: JsonObject | JsonValue[] }) {
  return (
    <ul>
      {Object.entries(value).map(([name, entry]) => (
        <li key={name}>
          <Entry name={name} value={entry} />
        </li>
      ))}
    </ul>
  );
}

function Entry({ name, value }: { name: string; value: JsonValue }) {
  if (value === null || typeof value !== "object" || Object.keys(value).length === 0) {
    return (
      <div className="flex gap-2 px-1 pl-5">
        <span className="text-muted-foreground shrink-0">{name}</span>
        <Scalar value={value} />
      </div>
    );
  }
  const size = Object.keys(value).length;
  return (
    <details open className="group/entry">
      <summary className="hover:bg-accent flex list-none items-center gap-1 rounded-sm px-1 [&::-webkit-details-marker]:hidden">
        <ChevronRight className="size-3 shrink-0 transition-transform group-open/entry:rotate-90" aria-hidden />
        <span className="text-muted-foreground">{name}</span>
        <span className="text-muted-foreground">{Array.isArray(value) ? `[${size}]` : `{${size}}`}</span>
      </summary>
      <div className="ml-2.5 border-l pl-1.5">
        <Entries value={value} />
      </div>
    </details>
  );
}

function Scalar({ value }: { value: JsonValue }) {
  if (typeof value === "string")
    return <span className="wrap-anywhere whitespace-pre-wrap">{value === "" ? '""' : value}</span>;
  if (typeof value === "object")
    return (
      <span className="text-muted-foreground">{value === null ? "null" : Array.isArray(value) ? "[]" : "{}"}</span>
    );
  return <span className="text-info">{String(value)}</span>;
}
