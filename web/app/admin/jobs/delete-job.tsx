"use client";

import type { Job } from "@intime/client/job";
import { Trash2 } from "lucide-react";
import { useState } from "react";
import { Button } from "@/components/ui/button";
import {
  Dialog,
  DialogClose,
  DialogContent,
  DialogDescription,
  DialogFooter,
  DialogHeader,
  DialogTitle,
  DialogTrigger,
} from "@/components/ui/dialog";
import { useJobMutations } from "./use-job-mutations";

/** Deletes a job once that is confirmed. */
export function DeleteJob({ job, onDone }: { job: Job; onDone: () => void }) {
  const { remove } = useJobMutations();
  const [open, setOpen] = useState(false);

  function confirm() {
    remove.mutate({ id: job.id, version: job.version }, { onSuccess: onDone, onSettled: () => setOpen(false) });
  }

  return (
    <Dialog open={open} onOpenChange={setOpen}>
      <DialogTrigger asChild>
        <Button variant="ghost" className="text-danger hover:text-danger mr-auto px-2">
          <Trash2 /> Delete
        </Button>
      </DialogTrigger>
      <DialogContent>
        <DialogHeader>
          <DialogTitle>Delete this job?</DialogTitle>
          <DialogDescription>
            “{job.title}” will no longer be found. Its events and its audit trail stay.
          </DialogDescription>
        </DialogHeader>
        <DialogFooter>
          <DialogClose asChild>
            <Button variant="outline">Cancel</Button>
          </DialogClose>
          <Button variant="destructive" disabled={remove.isPending} onClick={confirm}>
            Delete the job
          </Button>
        </DialogFooter>
      </DialogContent>
    </Dialog>
  );
}
