import { UpdateJobRequest_Clearable as Clearable } from "@intime/client/job";
import { describe, expect, test } from "vitest";
import { toUpdateRequest, valuesOf } from "@/app/admin/jobs/job-values";
import { someJobs } from "./fake";

const job = someJobs(1_700_000_000_000)[0]!;

describe("a change", () => {
  test("names the version it was made from and nothing else where nothing changed", () => {
    const request = toUpdateRequest(job, valuesOf(job));
    expect(request).toMatchObject({ id: job.id, version: job.version, clear: [] });
    expect(request.title).toBeUndefined();
    expect(request.requiredSkills).toBeUndefined();
    expect(request.remoteAllowed).toBeUndefined();
  });

  test("sends what changed", () => {
    const request = toUpdateRequest(job, {
      ...valuesOf(job),
      title: "Architect",
      requiredSkills: "Gosu",
      remoteAllowed: false,
      salaryMax: "95,000",
    });
    expect(request).toMatchObject({
      title: "Architect",
      requiredSkills: { values: ["Gosu"] },
      remoteAllowed: false,
      salaryMax: 95_000n,
    });
    expect(request.location).toBeUndefined();
  });

  test("clears what was emptied", () => {
    const request = toUpdateRequest(job, {
      ...valuesOf(job),
      salaryMin: "",
      salaryMax: "",
      salaryCurrency: "",
      experienceYearsMin: "",
    });
    expect(request.clear.toSorted()).toEqual([
      Clearable.EXPERIENCE_YEARS_MIN,
      Clearable.SALARY_MIN,
      Clearable.SALARY_MAX,
    ]);
    expect(request.salaryMin).toBeUndefined();
    expect(request.salaryCurrency).toBeUndefined();
  });

  test("sends what may not be empty, for the rules to say so", () => {
    expect(toUpdateRequest(job, { ...valuesOf(job), title: "" }).title).toBe("");
  });
});
