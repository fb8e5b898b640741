"use client";

import { JobService } from "@intime/client/job";
import { Plus } from "lucide-react";
import dynamic from "next/dynamic";
import { useSearchParams } from "next/navigation";
import { useCallback, useMemo } from "react";
import { ForbiddenState } from "@/components/states";
import { Button } from "@/components/ui/button";
import { useGo } from "@/hooks/use-go";
import { useCan } from "@/hooks/use-me";
import { focusRow, useRowKeys } from "@/hooks/use-row-keys";
import { FilterBar } from "./filter-bar";
import { type JobFilters, type JobsView, formatView, noFilters, parseView, withFilters } from "./filters";
import { JobList } from "./job-list";

const JobSheet = dynamic(() => import("./job-sheet").then((sheet) => sheet.JobSheet), { ssr: false });

export function JobsPage() {
  const can = useCan();
  if (!can(JobService.method.listJobs)) return <ForbiddenState method={JobService.method.listJobs} what="see jobs" />;
  return <Jobs />;
}

function Jobs() {
  const can = useCan();
  const params = useSearchParams();
  const view = useMemo(() => parseView(params), [params]);
  const go = useGo();
  const show = useCallback((next: JobsView, how?: "push" | "replace") => go(formatView(next), how), [go]);
  const open = useCallback((job: string) => show({ ...view, job }, view.job ? "replace" : "push"), [show, view]);
  // Typing is one step: Back does not go through it letter by letter.
  const filter = (filters: Partial<JobFilters>) =>
    show(withFilters(view, filters), "query" in filters ? "replace" : "push");

  function close() {
    show({ ...view, job: "" });
    focusRow(view.job);
  }

  useRowKeys({ open: view.job, onOpen: open, onClose: close });

  return (
    <div className="flex min-h-full flex-col gap-3 p-3 sm:p-4 lg:h-full">
      <div className="flex flex-wrap items-center justify-between gap-2">
        <h1 className="text-xl font-semibold tracking-tight">Jobs</h1>
        {can(JobService.method.createJob) && (
          <Button onClick={() => open("new")}>
            <Plus /> New job
          </Button>
        )}
      </div>
      <FilterBar filters={view} onChange={filter} />
      <JobList
        view={view}
        onOpen={open}
        onClear={() => show(withFilters(view, noFilters))}
        onPage={(cursor) => show({ ...view, cursor })}
      />
      {view.job && <JobSheet id={view.job} onClose={close} />}
    </div>
  );
}
