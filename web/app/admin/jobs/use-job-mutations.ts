import { createConnectQueryKey, useMutation } from "@connectrpc/connect-query";
import { messageOf } from "@intime/client";
import { JobService } from "@intime/client/job";
import { type QueryKey, useQueryClient } from "@tanstack/react-query";
import { useRouter } from "next/navigation";
import { toast } from "@/lib/toast";

/** What connect-query calls all that was asked of EventService. Written out, so that jobs do not carry events with them. */
export const eventQueries: QueryKey = ["connect-query", { serviceName: "intime.event.v1.EventService" }];

/** Creating, changing and deleting jobs: each says that it was done, and has what it made old loaded again. */
export function useJobMutations() {
  const queryClient = useQueryClient();
  const router = useRouter();

  function reload() {
    const jobQueries = createConnectQueryKey({ schema: JobService, cardinality: undefined });
    for (const queryKey of [jobQueries, eventQueries]) void queryClient.invalidateQueries({ queryKey });
  }

  const create = useMutation(JobService.method.createJob, {
    onSuccess: ({ job }) => {
      reload();
      toast.success("Job created", {
        description: job?.title,
        action: { label: "See its event", onClick: () => router.push("/admin/events/?type=job.created") },
      });
    },
  });
  const update = useMutation(JobService.method.updateJob, {
    onSuccess: ({ job }) => {
      reload();
      toast.success("Job saved", { description: job?.title });
    },
  });
  const remove = useMutation(JobService.method.deleteJob, {
    onSuccess: () => {
      reload();
      toast.success("Job deleted");
    },
    onError: (err) => {
      reload();
      toast.error("The job was not deleted", { description: messageOf(err) });
    },
  });
  return { create, update, remove };
}
