import { describe, expect, test } from "vitest";
import { can, isPublic, permissionOf } from "../src/index.js";
import { EventService } from "../src/service/event.js";
import { JobService } from "../src/service/job.js";
import { SessionService } from "../src/service/session.js";
import { UserService } from "../src/service/user.js";

describe("can", () => {
  test("asks for the permission that the schema names", () => {
    const recruiter = [{ name: "job:create" }, { name: "job:read" }];
    expect(permissionOf(JobService.method.createJob)).toBe("job:create");
    expect(can(recruiter, JobService.method.createJob)).toBe(true);
    expect(can(recruiter, JobService.method.deleteJob)).toBe(false);
    expect(can([], JobService.method.listJobs)).toBe(false);
  });

  test("lets everybody call what is public", () => {
    expect(permissionOf(SessionService.method.refreshSession)).toBeUndefined();
    expect(isPublic(SessionService.method.refreshSession)).toBe(true);
    expect(can([], SessionService.method.refreshSession)).toBe(true);
  });

  test("finds a rule on every method", () => {
    for (const method of [JobService, EventService, UserService, SessionService].flatMap(
      (service) => service.methods,
    )) {
      expect(isPublic(method) || permissionOf(method), method.name).toBeTruthy();
    }
  });
});
