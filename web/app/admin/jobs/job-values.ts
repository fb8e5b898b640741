import { create } from "@bufbuild/protobuf";
import {
  UpdateJobRequest_Clearable as Clearable,
  type CreateJobRequest,
  CreateJobRequestSchema,
  type Job,
  JobStatus,
  type UpdateJobRequest,
  UpdateJobRequestSchema,
} from "@intime/client/job";

/** A job as a form has it: text, under the names that the requests have. */
export interface JobValues {
  title: string;
  description: string;
  /** Separated by commas. */
  requiredSkills: string;
  experienceYearsMin: string;
  experienceYearsMax: string;
  salaryMin: string;
  salaryMax: string;
  salaryCurrency: string;
  location: string;
  remoteAllowed: boolean;
  clientId: string;
  status: JobStatus;
}

export const newJob: JobValues = {
  title: "",
  description: "",
  requiredSkills: "",
  experienceYearsMin: "",
  experienceYearsMax: "",
  salaryMin: "",
  salaryMax: "",
  salaryCurrency: "",
  location: "",
  remoteAllowed: false,
  clientId: "",
  status: JobStatus.OPEN,
};

export function valuesOf(job: Job): JobValues {
  return {
    title: job.title,
    description: job.description,
    requiredSkills: job.requiredSkills.join(", "),
    experienceYearsMin: String(job.experienceYearsMin ?? ""),
    experienceYearsMax: String(job.experienceYearsMax ?? ""),
    salaryMin: String(job.salaryMin ?? ""),
    salaryMax: String(job.salaryMax ?? ""),
    salaryCurrency: job.salaryCurrency,
    location: job.location,
    remoteAllowed: job.remoteAllowed,
    clientId: job.clientId,
    status: job.status,
  };
}

export function toCreateRequest(values: JobValues): CreateJobRequest {
  return create(CreateJobRequestSchema, {
    title: values.title.trim(),
    description: values.description.trim(),
    requiredSkills: listOf(values.requiredSkills),
    experienceYearsMin: numberOf(values.experienceYearsMin),
    experienceYearsMax: numberOf(values.experienceYearsMax),
    salaryMin: bigintOf(values.salaryMin),
    salaryMax: bigintOf(values.salaryMax),
    salaryCurrency: values.salaryCurrency.trim(),
    location: values.location.trim(),
    remoteAllowed: values.remoteAllowed,
    clientId: values.clientId.trim(),
  });
}

const clearable = {
  clientId: Clearable.CLIENT_ID,
  experienceYearsMin: Clearable.EXPERIENCE_YEARS_MIN,
  experienceYearsMax: Clearable.EXPERIENCE_YEARS_MAX,
  salaryMin: Clearable.SALARY_MIN,
  salaryMax: Clearable.SALARY_MAX,
} as const;

/** Returns the change from a job to these values: what is as it was is not sent, what was emptied is cleared. */
export function toUpdateRequest(job: Job, values: JobValues): UpdateJobRequest {
  const before = valuesOf(job);
  const now = toCreateRequest(values);
  const changed = (name: keyof JobValues) => values[name] !== before[name];
  const sent = <K extends keyof CreateJobRequest & keyof JobValues>(name: K) =>
    changed(name) && values[name] !== "" ? { [name]: now[name] } : {};
  const emptied = (name: keyof typeof clearable) => changed(name) && values[name] === "";

  return create(UpdateJobRequestSchema, {
    id: job.id,
    version: job.version,
    ...sent("experienceYearsMin"),
    ...sent("experienceYearsMax"),
    ...sent("salaryMin"),
    ...sent("salaryMax"),
    ...sent("clientId"),
    ...sent("remoteAllowed"),
    // These may not be empty: sent all the same, for the rules to say so.
    ...(changed("title") && { title: now.title }),
    ...(changed("description") && { description: now.description }),
    ...(changed("requiredSkills") && { requiredSkills: { values: now.requiredSkills } }),
    ...(changed("location") && { location: now.location }),
    ...(changed("salaryCurrency") && hasSalary(values) && { salaryCurrency: now.salaryCurrency }),
    ...(changed("status") && { status: values.status }),
    clear: (Object.keys(clearable) as (keyof typeof clearable)[]).filter(emptied).map((name) => clearable[name]),
  });
}

function hasSalary(values: JobValues): boolean {
  return values.salaryMin !== "" || values.salaryMax !== "";
}

function listOf(text: string): string[] {
  return text
    .split(",")
    .map((entry) => entry.trim())
    .filter(Boolean);
}

// What is not a whole number becomes one that the field's rule refuses, so that the rule's own sentence says so.
const refused = -1;

function numberOf(text: string): number | undefined {
  if (text.trim() === "") return undefined;
  return /^\d{1,9}$/.test(text.trim()) ? Number(text) : refused;
}

function bigintOf(text: string): bigint | undefined {
  const digits = text.replace(/[\s,_]/g, "");
  if (digits === "") return undefined;
  return /^\d{1,18}$/.test(digits) ? BigInt(digits) : BigInt(refused);
}
