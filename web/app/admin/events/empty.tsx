"use client";

import { useQuery } from "@connectrpc/connect-query";
import { SessionService } from "@intime/client/session";
import { SearchX, Zap } from "lucide-react";
import { CodeBlock } from "@/components/code-block";
import { State } from "@/components/states";
import { Button } from "@/components/ui/button";

/** What stands there before the first event: what this is, and the command that makes one. */
export function FirstUse() {
  const { data } = useQuery(SessionService.method.getSignInOptions, {}, { staleTime: Infinity });
  const people = data?.demoPeople ?? [];
  const recruiter = people.find((person) => person.roles.includes("recruiter")) ?? people[0];
  return (
    <State icon={<Zap />} title="No events yet" className="max-w-2xl">
      <p className="mx-auto max-w-lg">
        An event says that something happened: a job was created, a course completed. Handlers react to it, and this
        page shows what became of each. Create a job to publish the first:
      </p>
      <CodeBlock what="command" code={createJobCommand(window.location.origin, recruiter?.email)} />
    </State>
  );
}

/** Says that the filters match nothing. */
export function NoMatch({ onClear }: { onClear: () => void }) {
  return (
    <State
      icon={<SearchX />}
      title="No events match these filters"
      actions={
        <Button variant="outline" onClick={onClear}>
          Clear the filters
        </Button>
      }
    />
  );
}

export function createJobCommand(origin: string, email: string | undefined): string {
  const token = email ? `$(bin/intime token ${email})` : "$TOKEN";
  return `curl ${origin}/intime.job.v1.JobService/CreateJob \\
  -H "Authorization: Bearer ${token}" \\
  -H "Content-Type: application/json" \\
  -d '{
    "title": "Guidewire developer",
    "description": "Builds and configures PolicyCenter.",
    "requiredSkills": ["Gosu", "Java"],
    "location": "Dublin"
  }'`;
}
