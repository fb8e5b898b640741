"use client";

import { Code } from "@connectrpc/connect";
import { useQuery } from "@connectrpc/connect-query";
import { JobService } from "@intime/client/job";
import { keepPreviousData } from "@tanstack/react-query";
import { BriefcaseBusiness, Plus, SearchX } from "lucide-react";
import { useMemo } from "react";
import { DataTable, RowLink } from "@/components/data-table";
import { Pages } from "@/components/pages";
import { ErrorState, ForbiddenState, State } from "@/components/states";
import { TableSkeleton } from "@/components/table-skeleton";
import { Button } from "@/components/ui/button";
import { useCan } from "@/hooks/use-me";
import { columnClasses, createColumns } from "./columns";
import { type JobsView, formatView, isFiltered, toRequest } from "./filters";

interface Props {
  view: JobsView;
  onOpen: (id: string) => void;
  onClear: () => void;
  /** Goes to the page of a token; to the newest for none. */
  onPage: (cursor: string) => void;
}

/** The jobs that match, in whatever state the list is. */
export function JobList({ view, onOpen, onClear, onPage }: Props) {
  const query = useQuery(JobService.method.listJobs, toRequest(view), { placeholderData: keepPreviousData });
  const columns = useMemo(
    () =>
      createColumns((job, content) => (
        <RowLink id={job.id} href={`?${formatView({ ...view, job: job.id })}`} onOpen={onOpen}>
          {content}
        </RowLink>
      )),
    [view, onOpen],
  );

  function content() {
    if (query.data && query.data.jobs.length > 0) {
      return (
        <DataTable
          label="Jobs, newest first"
          columns={columns}
          columnClasses={columnClasses}
          rows={query.data.jobs}
          selected={view.job}
          busy={query.isPlaceholderData}
          onOpen={onOpen}
        />
      );
    }
    if (query.error?.code === Code.PermissionDenied) {
      return <ForbiddenState method={JobService.method.listJobs} what="see jobs" />;
    }
    if (query.error) {
      return (
        <ErrorState title="The jobs could not be loaded" error={query.error} onRetry={() => void query.refetch()} />
      );
    }
    if (query.isPending || query.isPlaceholderData) return <TableSkeleton label="Loading jobs" />;
    return isFiltered(view) || view.cursor ? <NoMatch onClear={onClear} /> : <FirstUse onNew={() => onOpen("new")} />;
  }

  return (
    <>
      <div className="bg-card @container relative rounded-lg border shadow-2xs max-lg:overflow-clip lg:min-h-0 lg:flex-1 lg:overflow-y-auto">
        {content()}
      </div>
      <Pages
        cursor={view.cursor}
        next={query.isPlaceholderData ? "" : (query.data?.nextPageToken ?? "")}
        about={view.cursor ? "Older jobs" : `The newest ${query.data?.jobs.length ?? 0} jobs`}
        onPage={onPage}
      />
    </>
  );
}

function NoMatch({ onClear }: { onClear: () => void }) {
  return (
    <State
      icon={<SearchX />}
      title="No jobs match these filters"
      actions={
        <Button variant="outline" onClick={onClear}>
          Clear the filters
        </Button>
      }
    />
  );
}

function FirstUse({ onNew }: { onNew: () => void }) {
  const can = useCan();
  return (
    <State
      icon={<BriefcaseBusiness />}
      title="No jobs yet"
      actions={
        can(JobService.method.createJob) && (
          <Button onClick={onNew}>
            <Plus /> New job
          </Button>
        )
      }
    >
      <p>
        A job is an open position at a client. Creating one publishes an event, and candidates whose skills match hear
        of it.
      </p>
    </State>
  );
}
