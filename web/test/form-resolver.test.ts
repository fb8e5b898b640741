import { Code } from "@connectrpc/connect";
import { createValidator } from "@bufbuild/protovalidate";
import { CreateJobRequestSchema, UpdateJobRequestSchema } from "@intime/client/job";
import { describe, expect, test, vi } from "vitest";
import { type JobValues, newJob, toCreateRequest } from "@/app/admin/jobs/job-values";
import { byField, createResolver, setServerErrors } from "@/lib/form-resolver";
import { failure } from "./fake";

const valid: JobValues = {
  ...newJob,
  title: "Guidewire developer",
  description: "Builds and configures PolicyCenter.",
  requiredSkills: "Gosu, Java",
  location: "Dublin",
};

async function errorsOf(values: Partial<JobValues>) {
  const resolve = createResolver(createValidator(), CreateJobRequestSchema, toCreateRequest);
  const { errors } = await resolve({ ...valid, ...values }, undefined, {
    fields: {},
    shouldUseNativeValidation: false,
  });
  return Object.fromEntries(Object.entries(errors).map(([name, error]) => [name, error.message]));
}

describe("the resolver", () => {
  test("lets through what the schema allows", async () => {
    expect(await errorsOf({})).toEqual({});
  });

  test("shows the schema's own sentences at their fields", async () => {
    expect(await errorsOf({ title: " ", description: "short", requiredSkills: "", location: "" })).toEqual({
      title: "Give the job a title of 1 to 200 characters.",
      description: "Describe the job in 10 to 20,000 characters.",
      requiredSkills: "Name 1 to 50 skills.",
      location: "Say where the work is done, in 1 to 200 characters.",
    });
  });

  test("shows a rule over several fields at the field it is named after", async () => {
    expect(await errorsOf({ salaryMin: "90000", salaryMax: "60000" })).toEqual({
      salaryMax: "The highest salary is not below the lowest.",
      salaryCurrency: "Say the currency of the salary.",
    });
    expect(await errorsOf({ experienceYearsMin: "5", experienceYearsMax: "0" })).toEqual({
      experienceYearsMax: "The most experience is not below the least.",
    });
  });

  test("shows what is wrong with an entry at its list", async () => {
    expect(await errorsOf({ requiredSkills: `Gosu, ${"x".repeat(101)}` })).toEqual({
      requiredSkills: "A skill has 1 to 100 characters.",
    });
  });

  test("refuses what is no number with the field's own sentence", async () => {
    expect(await errorsOf({ experienceYearsMin: "two", salaryMin: "1.5", salaryCurrency: "EUR" })).toEqual({
      experienceYearsMin: "Experience is between 0 and 100 years.",
      salaryMin: "A salary is above 0 and at most 1,000,000,000,000.",
    });
  });
});

describe("what the server finds wrong", () => {
  const violations = [
    { field: "salary_max", rule: "salary_max.at_least_min", message: "The highest salary is not below the lowest." },
    {
      field: "required_skills.values[2]",
      rule: "job.required_skills.length",
      message: "A skill has 1 to 100 characters.",
    },
    { field: "", rule: "experience_years_max.at_least_min", message: "The most experience is not below the least." },
    { field: "", rule: "something.else", message: "This cannot be." },
  ];

  test("lands on its fields, and on the form where there is none", () => {
    const messages = Object.entries(byField(UpdateJobRequestSchema, violations)).map(([name, { message }]) => [
      name,
      message,
    ]);
    expect(Object.fromEntries(messages)).toEqual({
      salaryMax: "The highest salary is not below the lowest.",
      requiredSkills: "A skill has 1 to 100 characters.",
      experienceYearsMax: "The most experience is not below the least.",
      root: "This cannot be.",
    });
  });

  test("is set on the form", () => {
    const setError = vi.fn();
    const err = failure(Code.InvalidArgument, "INVALID_ARGUMENT", "Some fields are not right.", violations.slice(0, 1));
    expect(setServerErrors(err, UpdateJobRequestSchema, setError)).toBe(true);
    expect(setError).toHaveBeenCalledWith(
      "salaryMax",
      { type: "salary_max.at_least_min", message: "The highest salary is not below the lowest." },
      { shouldFocus: true },
    );
    expect(
      setServerErrors(
        failure(Code.NotFound, "JOB_NOT_FOUND", "There is no such job."),
        UpdateJobRequestSchema,
        setError,
      ),
    ).toBe(false);
  });
});
