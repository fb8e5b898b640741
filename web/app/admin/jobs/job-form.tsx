"use client";

import { createValidator } from "@bufbuild/protovalidate";
import { isReason, messageOf, requestIdOf } from "@intime/client";
import { CreateJobRequestSchema, type Job, JobService, JobStatus, UpdateJobRequestSchema } from "@intime/client/job";
import { useEffect, useState } from "react";
import { type FieldPath, useForm } from "react-hook-form";
import { RequestId } from "@/components/states";
import { Button } from "@/components/ui/button";
import { Checkbox } from "@/components/ui/checkbox";
import { DialogBody, DialogFooter } from "@/components/ui/dialog";
import { Field } from "@/components/ui/field";
import { Input, Select, Textarea } from "@/components/ui/input";
import { useCan } from "@/hooks/use-me";
import { createResolver, setServerErrors } from "@/lib/form-resolver";
import { DeleteJob } from "./delete-job";
import { type JobValues, newJob, toCreateRequest, toUpdateRequest, valuesOf } from "./job-values";
import { jobStatuses } from "./status";
import { useJobMutations } from "./use-job-mutations";

const validator = createValidator();

interface Props {
  /** The job to change; absent where one is to be created. */
  job?: Job;
  onDone: () => void;
  /** Hears whether there is something typed that would be lost. */
  onDirty: (dirty: boolean) => void;
  /** Loads the job as it is now. */
  onReload?: () => Promise<Job | undefined>;
}

/** Creates or changes a job under the schema's own rules, with the server's word as the last. */
export function JobForm({ job, onDone, onDirty, onReload }: Props) {
  const can = useCan();
  const { create, update } = useJobMutations();
  const [failure, setFailure] = useState<unknown>();
  const form = useForm<JobValues>({
    defaultValues: job ? valuesOf(job) : newJob,
    resolver: job
      ? createResolver(validator, UpdateJobRequestSchema, (values: JobValues) => toUpdateRequest(job, values))
      : createResolver(validator, CreateJobRequestSchema, toCreateRequest),
  });
  const { errors, isDirty, isSubmitting } = form.formState;
  const mayWrite = can(job ? JobService.method.updateJob : JobService.method.createJob);

  useEffect(() => onDirty(isDirty), [onDirty, isDirty]);

  const submit = form.handleSubmit(async (values) => {
    setFailure(undefined);
    try {
      if (job) await update.mutateAsync(toUpdateRequest(job, values));
      else await create.mutateAsync(toCreateRequest(values));
      onDone();
    } catch (err) {
      const shown = setServerErrors(err, job ? UpdateJobRequestSchema : CreateJobRequestSchema, form.setError);
      if (!shown) setFailure(err);
    }
  });

  async function loadNewest() {
    const newest = await onReload?.();
    if (!newest) return;
    setFailure(undefined);
    form.reset(valuesOf(newest), { keepDirtyValues: true });
  }

  const errorOf = (name: FieldPath<JobValues>) => errors[name]?.message;

  return (
    <form noValidate onSubmit={(event) => void submit(event)} className="flex min-h-0 flex-1 flex-col">
      <DialogBody className="py-4">
        <fieldset disabled={!mayWrite || isSubmitting} className="space-y-4">
          <Field label="Title" error={errorOf("title")}>
            {(control) => <Input {...control} {...form.register("title")} autoFocus={!job} />}
          </Field>
          {job && (
            <Field label="Status" error={errorOf("status")}>
              {(control) => (
                <Select {...control} {...form.register("status", { valueAsNumber: true })}>
                  {[JobStatus.OPEN, JobStatus.FILLED, JobStatus.CLOSED].map((status) => (
                    <option key={status} value={status}>
                      {jobStatuses[status].label}
                    </option>
                  ))}
                </Select>
              )}
            </Field>
          )}
          <Field label="Description" error={errorOf("description")}>
            {(control) => <Textarea {...control} {...form.register("description")} />}
          </Field>
          <Field label="Required skills" hint="Separated by commas." error={errorOf("requiredSkills")}>
            {(control) => <Input {...control} {...form.register("requiredSkills")} placeholder="Gosu, Java" />}
          </Field>
          <div className="grid gap-4 sm:grid-cols-2">
            <Field label="Least experience, years" optional error={errorOf("experienceYearsMin")}>
              {(control) => <Input {...control} {...form.register("experienceYearsMin")} inputMode="numeric" />}
            </Field>
            <Field label="Most experience, years" optional error={errorOf("experienceYearsMax")}>
              {(control) => <Input {...control} {...form.register("experienceYearsMax")} inputMode="numeric" />}
            </Field>
          </div>
          <div className="grid gap-4 sm:grid-cols-[1fr_1fr_6rem]">
            <Field label="Lowest salary a year" optional error={errorOf("salaryMin")}>
              {(control) => <Input {...control} {...form.register("salaryMin")} inputMode="numeric" />}
            </Field>
            <Field label="Highest salary a year" optional error={errorOf("salaryMax")}>
              {(control) => <Input {...control} {...form.register("salaryMax")} inputMode="numeric" />}
            </Field>
            <Field label="Currency" error={errorOf("salaryCurrency")}>
              {(control) => <Input {...control} {...form.register("salaryCurrency")} placeholder="EUR" maxLength={3} />}
            </Field>
          </div>
          <Field label="Location" error={errorOf("location")}>
            {(control) => <Input {...control} {...form.register("location")} />}
          </Field>
          <label className="flex min-h-6 w-fit items-center gap-2">
            <Checkbox {...form.register("remoteAllowed")} /> It may be done from elsewhere
          </label>
          <Field label="Client id" optional hint="The profile of the client." error={errorOf("clientId")}>
            {(control) => (
              <Input {...control} {...form.register("clientId")} className="font-mono text-xs" spellCheck={false} />
            )}
          </Field>
        </fieldset>
      </DialogBody>
      {errors.root?.message && <Notice>{errors.root.message}</Notice>}
      {failure !== undefined && (
        <Notice>
          {isReason(failure, "JOB_VERSION_STALE") ? (
            <>
              <p>
                Somebody has changed this job since you opened it. Load it: what you have changed stays in the form.
              </p>
              <Button variant="outline" size="sm" onClick={() => void loadNewest()}>
                Load the newest version
              </Button>
            </>
          ) : (
            <>
              <p>{messageOf(failure)}</p>
              <RequestId id={requestIdOf(failure) ?? ""} />
            </>
          )}
        </Notice>
      )}
      <DialogFooter className="border-t">
        {job && can(JobService.method.deleteJob) && <DeleteJob job={job} onDone={onDone} />}
        <Button variant="outline" onClick={onDone}>
          {mayWrite ? "Cancel" : "Close"}
        </Button>
        {mayWrite && (
          <Button type="submit" disabled={isSubmitting || (job !== undefined && !isDirty)}>
            {job ? "Save" : "Create job"}
          </Button>
        )}
      </DialogFooter>
    </form>
  );
}

function Notice({ children }: { children: React.ReactNode }) {
  return (
    <div
      role="alert"
      className="bg-danger-subtle border-danger-line text-danger flex flex-col items-start gap-2 border-t px-5 py-3"
    >
      {children}
    </div>
  );
}
