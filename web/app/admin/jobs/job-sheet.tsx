"use client";

import { Code } from "@connectrpc/connect";
import { skipToken } from "@tanstack/react-query";
import { useQuery } from "@connectrpc/connect-query";
import { JobService } from "@intime/client/job";
import { SearchX } from "lucide-react";
import dynamic from "next/dynamic";
import { useState } from "react";
import { ErrorState, State } from "@/components/states";
import { Dialog, DialogContent, DialogDescription, DialogHeader, DialogTitle } from "@/components/ui/dialog";
import { Skeleton } from "@/components/ui/skeleton";

// Forms bring the rules' engine along, which the list does without.
const JobForm = dynamic(() => import("./job-form").then((form) => form.JobForm), { ssr: false, loading: FormSkeleton });

/** A job's form in a sheet at the side; the id "new" stands for one that is not there yet. */
export function JobSheet({ id, onClose }: { id: string; onClose: () => void }) {
  const isNew = id === "new";
  const [dirty, setDirty] = useState(false);
  // Nothing changes under the person's hands: the form says when the job is a newer one on the server.
  const query = useQuery(JobService.method.getJob, isNew ? skipToken : { id }, {
    refetchOnWindowFocus: false,
    staleTime: 0,
  });

  function content() {
    if (isNew) return <JobForm onDone={onClose} onDirty={setDirty} />;
    if (query.data?.job && query.isFetchedAfterMount) {
      const reload = async () => (await query.refetch()).data?.job;
      return <JobForm key={id} job={query.data.job} onDone={onClose} onDirty={setDirty} onReload={reload} />;
    }
    if (query.error?.code === Code.NotFound || query.error?.code === Code.InvalidArgument) {
      return (
        <State icon={<SearchX />} title="There is no such job">
          <p>It may have been deleted, or belong to another organisation.</p>
        </State>
      );
    }
    if (query.error) {
      return (
        <ErrorState title="The job could not be loaded" error={query.error} onRetry={() => void query.refetch()} />
      );
    }
    return <FormSkeleton />;
  }

  return (
    <Dialog open onOpenChange={(open) => !open && onClose()}>
      <DialogContent
        side="right"
        onCloseAutoFocus={(event) => event.preventDefault()}
        onInteractOutside={(event) => dirty && event.preventDefault()}
        onEscapeKeyDown={(event) => dirty && event.preventDefault()}
      >
        <DialogHeader className="border-b">
          <DialogTitle>{isNew ? "New job" : (query.data?.job?.title ?? "Job")}</DialogTitle>
          <DialogDescription>
            {isNew ? "Creating it publishes job.created." : "Only what you change is sent."}
          </DialogDescription>
        </DialogHeader>
        {content()}
      </DialogContent>
    </Dialog>
  );
}

function FormSkeleton() {
  return (
    <div role="status" aria-label="Loading" className="space-y-5 p-5">
      {Array.from({ length: 5 }, (_, i) => (
        <div key={i} className="space-y-2">
          <Skeleton className="h-3 w-24" />
          <Skeleton className="h-8 w-full" />
        </div>
      ))}
    </div>
  );
}
