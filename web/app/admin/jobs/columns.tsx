import { type Job } from "@intime/client/job";
import { createColumnHelper } from "@tanstack/react-table";
import { RelativeTime } from "@/components/time";
import { Badge } from "@/components/ui/badge";
import type { Features } from "@/lib/table";
import { msOf } from "@/lib/time";
import { JobStatusLabel } from "./status";

const column = createColumnHelper<Features, Job>();

export const columnClasses: Record<string, string> = {
  title: "max-w-0 w-full @3xl:w-1/2",
  status: "",
  location: "hidden max-w-48 @xl:table-cell",
  skills: "hidden max-w-0 w-1/2 @3xl:table-cell",
  experience: "hidden whitespace-nowrap @5xl:table-cell",
  salary: "hidden whitespace-nowrap @4xl:table-cell",
  updated: "hidden @2xl:table-cell",
};

export function createColumns(link: (job: Job, content: React.ReactNode) => React.ReactNode) {
  return column.columns([
    column.accessor("title", {
      header: "Title",
      cell: ({ row: { original: job }, getValue }) => (
        <div className="min-w-0">
          {link(job, getValue())}
          <p className="text-muted-foreground truncate text-xs @xl:hidden">{placeOf(job)}</p>
        </div>
      ),
    }),
    column.accessor("status", { header: "Status", cell: ({ getValue }) => <JobStatusLabel status={getValue()} /> }),
    column.accessor(placeOf, {
      id: "location",
      header: "Location",
      cell: ({ getValue }) => <p className="truncate">{getValue()}</p>,
    }),
    column.accessor("requiredSkills", {
      id: "skills",
      header: "Skills",
      cell: ({ getValue }) => <Skills skills={getValue()} />,
    }),
    column.accessor((job) => rangeOf(job.experienceYearsMin, job.experienceYearsMax), {
      id: "experience",
      header: "Experience",
      cell: ({ getValue }) => (getValue() ? `${getValue()} years` : <None />),
    }),
    column.accessor(salaryOf, { id: "salary", header: "Salary", cell: ({ getValue }) => getValue() || <None /> }),
    column.accessor((job) => msOf(job.updatedAt) ?? 0, {
      id: "updated",
      header: "Changed",
      cell: ({ getValue }) => <RelativeTime ms={getValue()} className="text-muted-foreground" />,
    }),
  ]);
}

function placeOf(job: Job): string {
  return job.remoteAllowed ? `${job.location} or remote` : job.location;
}

/** Returns "2–5", "from 2", "up to 5", or nothing. */
export function rangeOf(min: number | bigint | undefined, max: number | bigint | undefined): string {
  const text = (n: number | bigint) => n.toLocaleString("en");
  if (min !== undefined && max !== undefined) return min === max ? text(min) : `${text(min)}–${text(max)}`;
  if (min !== undefined) return `from ${text(min)}`;
  return max === undefined ? "" : `up to ${text(max)}`;
}

export function salaryOf(job: Job): string {
  const range = rangeOf(job.salaryMin, job.salaryMax);
  return range && `${range} ${job.salaryCurrency}`;
}

const mostSkills = 3;

function Skills({ skills }: { skills: string[] }) {
  const more = skills.length - mostSkills;
  return (
    <span className="flex min-w-0 gap-1 overflow-hidden" title={skills.join(", ")}>
      {skills.slice(0, mostSkills).map((skill) => (
        <Badge key={skill} className="font-normal">
          {skill}
        </Badge>
      ))}
      {more > 0 && <span className="text-muted-foreground text-xs leading-6">+{more}</span>}
    </span>
  );
}

function None() {
  return <span className="text-muted-foreground">–</span>;
}
