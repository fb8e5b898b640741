import { type MessageInitShape, create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type ConnectRouter } from "@connectrpc/connect";
import { ErrorDetailSchema, type FieldViolationSchema } from "@intime/client/error";
import {
  AttemptOutcome,
  DeliveryStatus,
  type Event,
  EventSchema,
  EventService,
  EventStatus,
  type ListEventsRequest,
} from "@intime/client/event";
import {
  type Job,
  JobSchema,
  JobService,
  JobStatus,
  UpdateJobRequest_Clearable as Clearable,
} from "@intime/client/job";
import { SessionService } from "@intime/client/session";
import { Permission_Scope, UserService } from "@intime/client/user";

const second = 1000;
const minute = 60 * second;

/** Returns an id that sorts by a time, as the server's do. */
export function idAt(ms: number, n = 0): string {
  const time = ms.toString(16).padStart(12, "0");
  return `${time.slice(0, 8)}-${time.slice(8)}-7000-8000-${n.toString(16).padStart(12, "0")}`;
}

/** Returns an event that ended well at one handler; whatever differs is given. */
export function eventAt(ms: number, init: MessageInitShape<typeof EventSchema> = {}): Event {
  const id = init.id ?? idAt(ms);
  return create(EventSchema, {
    id,
    type: "job.created",
    schemaVersion: 1,
    status: EventStatus.PROCESSED,
    payload: {
      jobId: idAt(ms, 7),
      title: "Guidewire developer",
      requiredSkills: ["Gosu", "Java"],
      experienceYearsMin: 2,
    },
    metadata: { procedure: "/intime.job.v1.JobService/CreateJob", requestId: idAt(ms, 8) },
    publishedAt: timestampFromMs(ms),
    processedAt: timestampFromMs(ms + 12),
    createdBy: idAt(1, 1),
    createdByName: "Rita Recruiter",
    source: "api",
    correlationId: id,
    deliveries: [
      {
        id: idAt(ms, 3),
        handlerName: "notify_matching_candidates",
        status: DeliveryStatus.SUCCEEDED,
        attemptCount: 1,
        maxAttempts: 3,
        finishedAt: timestampFromMs(ms + 12),
        attempts: [attemptAt(ms + 3, 1, AttemptOutcome.SUCCEEDED, "", 9)],
      },
    ],
    ...init,
  });
}

export function attemptAt(ms: number, number: number, outcome: AttemptOutcome, errorMessage = "", ran = 20) {
  return {
    number,
    outcome,
    errorMessage,
    startedAt: timestampFromMs(ms),
    finishedAt: timestampFromMs(ms + ran),
    worker: "laptop-4711",
    workerVersion: "v0.1.0",
  };
}

/** Returns a life like an organisation's: most events went well, some are on their way, a few failed. */
export function someEvents(now: number): Event[] {
  const failure =
    'POST https://mail.example.com/send: 503 Service Unavailable\nresponse: {"error":"the mail server is busy"}';
  const flow = now - 47 * minute;
  return [
    eventAt(now - 2 * second, {
      status: EventStatus.PENDING,
      processedAt: undefined,
      deliveries: [
        {
          id: idAt(now, 31),
          handlerName: "notify_matching_candidates",
          status: DeliveryStatus.RUNNING,
          attemptCount: 0,
          maxAttempts: 3,
        },
      ],
    }),
    eventAt(now - 14 * second),
    eventAt(now - 95 * second, {
      status: EventStatus.FAILED,
      processedAt: undefined,
      retryCount: 2,
      errorMessage: failure,
      deliveries: [
        {
          id: idAt(now, 32),
          handlerName: "notify_matching_candidates",
          status: DeliveryStatus.FAILED,
          attemptCount: 2,
          maxAttempts: 3,
          nextAttemptAt: timestampFromMs(now + 40 * second),
          reason: failure,
          attempts: [
            attemptAt(now - 95 * second + 4, 1, AttemptOutcome.FAILED, failure, 812),
            attemptAt(now - 60 * second, 2, AttemptOutcome.TIMED_OUT, "The handler ran longer than 30 s.", 30_004),
          ],
        },
      ],
    }),
    eventAt(now - 11 * minute, {
      type: "system.probe",
      status: EventStatus.DEAD_LETTER,
      processedAt: undefined,
      createdBy: "",
      createdByName: "",
      source: "system",
      retryCount: 3,
      errorMessage: "panic: runtime error: index out of range [3] with length 3",
      payload: { action: "PROBE_ACTION_PANIC", seq: "12", nested: { deep: [1, 2, { three: null }], empty: [] } },
      deliveries: [
        {
          id: idAt(now, 33),
          handlerName: "system_probe",
          status: DeliveryStatus.DEAD_LETTER,
          attemptCount: 3,
          maxAttempts: 3,
          finishedAt: timestampFromMs(now - 9 * minute),
          reason: "panic: runtime error: index out of range [3] with length 3",
          attempts: [1, 2, 3].map((n) =>
            attemptAt(
              now - (11 - n * 0.6) * minute,
              n,
              AttemptOutcome.PANICKED,
              "panic: runtime error: index out of range [3] with length 3",
            ),
          ),
        },
        {
          id: idAt(now, 34),
          handlerName: "audit_probe",
          status: DeliveryStatus.SUCCEEDED,
          attemptCount: 1,
          maxAttempts: 3,
          finishedAt: timestampFromMs(now - 11 * minute + 30),
          attempts: [attemptAt(now - 11 * minute + 8, 1, AttemptOutcome.SUCCEEDED)],
        },
        {
          id: idAt(now, 35),
          handlerName: "notify_team",
          status: DeliveryStatus.SKIPPED,
          maxAttempts: 3,
          finishedAt: timestampFromMs(now - 11 * minute),
          reason: "Disabled by Ana Admin: the mail server is being moved.",
        },
      ],
    }),
    eventAt(flow + 60, {
      type: "system.probed",
      correlationId: idAt(flow),
      causationId: idAt(flow),
      depth: 1,
      source: "handler",
      payload: { seq: "7", index: 1 },
    }),
    eventAt(flow + 40, {
      type: "system.probed",
      correlationId: idAt(flow),
      causationId: idAt(flow),
      depth: 1,
      source: "handler",
      payload: { seq: "7", index: 0 },
      deliveries: [],
    }),
    eventAt(flow, { type: "system.probe", source: "cli" }),
    ...Array.from({ length: 130 }, (_, i) =>
      eventAt(now - (2 + i * 1.7) * 60 * minute, { createdByName: i % 3 ? "Rita Recruiter" : "Ana Admin" }),
    ),
  ];
}

const positions = [
  ["Guidewire PolicyCenter developer", "Dublin", ["Guidewire PolicyCenter", "Gosu", "Java"]],
  ["Claims analyst", "London", ["Guidewire ClaimCenter", "SQL"]],
  ["Integration engineer", "Toronto", ["Java", "Kafka", "AWS", "Terraform", "Kotlin"]],
  ["Billing consultant", "Remote", ["Guidewire BillingCenter"]],
] as const;

export function someJobs(now: number): Job[] {
  return Array.from({ length: 23 }, (_, i) => {
    const [title, location, requiredSkills] = positions[i % positions.length]!;
    const createdAt = timestampFromMs(now - i * 190 * minute);
    return create(JobSchema, {
      id: idAt(now - i * 190 * minute, 40 + i),
      title,
      description:
        "Builds and configures the product with the client's own team, from the first workshop to the release.",
      requiredSkills: [...requiredSkills],
      location,
      remoteAllowed: i % 3 === 0,
      status: i % 5 === 3 ? JobStatus.FILLED : i % 7 === 4 ? JobStatus.CLOSED : JobStatus.OPEN,
      version: 1n,
      ...(i % 2 === 0 && { experienceYearsMin: 2, experienceYearsMax: 5 }),
      ...(i % 3 !== 2 && { salaryMin: 65_000n, salaryMax: 90_000n, salaryCurrency: "EUR" }),
      createdAt,
      updatedAt: createdAt,
    });
  });
}

/** Returns an error as the server sends it. */
export function failure(
  code: Code,
  reason: string,
  message: string,
  violations: MessageInitShape<typeof FieldViolationSchema>[] = [],
) {
  return new ConnectError(message, code, undefined, [
    { desc: ErrorDetailSchema, value: { reason, requestId: "0192f0c1-7a2b-7c3d-8e4f-5a6b7c8d9e0f", violations } },
  ]);
}

export const people = [
  { email: "ana.admin@acme.example", fullName: "Ana Admin", organization: "Acme Staffing", roles: ["admin"] },
  {
    email: "rita.recruiter@acme.example",
    fullName: "Rita Recruiter",
    organization: "Acme Staffing",
    roles: ["recruiter"],
  },
  {
    email: "tom.trainer@acme.example",
    fullName: "Tom Trainer",
    organization: "Acme Staffing",
    roles: ["trainer"],
  },
  {
    email: "sam.student@acme.example",
    fullName: "Sam Student",
    organization: "Acme Staffing",
    roles: ["student"],
  },
  {
    email: "ivo.admin@globex.example",
    fullName: "Ivo Admin",
    organization: "Globex Training",
    roles: ["admin", "hr_manager"],
  },
];

const permissionsOf: Record<string, string[]> = {
  admin: [
    "user:read",
    "event:read",
    "event:create",
    "job:read",
    "job:create",
    "job:update",
    "job:delete",
    "system:admin",
  ],
  recruiter: ["user:read", "event:read", "job:read", "job:create", "job:update"],
  student: ["user:read", "job:read"],
};

/** A server in memory: what it holds can be looked at and changed, and it counts and fails as told. */
export class FakeServer {
  events: Event[] = [];
  jobs: Job[] = [];
  /** Thrown by the method of that name, as long as it is set. */
  failing: Partial<Record<string, ConnectError>> = {};
  /** The names of the methods that were called, in order. */
  calls: string[] = [];
  lastListEvents: ListEventsRequest | undefined;
  /** The e-mail address of who the cookie stands for. */
  cookie = "";
  tokenLifeMs = 5 * minute;
  demo = true;
  #tokens = 0;

  constructor(readonly now: () => number = Date.now) {}

  readonly routes = (router: ConnectRouter) => {
    router.service(SessionService, {
      getSignInOptions: this.#answer("getSignInOptions", () => ({
        demoPeople: this.demo ? people : [],
        environment: this.demo ? "dev" : "prod",
      })),
      signInAsDemoPerson: this.#answer("signInAsDemoPerson", ({ email }: { email: string }) => {
        if (!people.some((person) => person.email === email))
          throw failure(Code.NotFound, "DEMO_PERSON_NOT_FOUND", "There is no such demo person.");
        this.cookie = email;
        return { accessToken: this.#token() };
      }),
      refreshSession: this.#answer("refreshSession", () => {
        if (!this.cookie) throw failure(Code.Unauthenticated, "UNAUTHENTICATED", "There is no session.");
        return { accessToken: this.#token() };
      }),
      signOut: this.#answer("signOut", () => {
        this.cookie = "";
        return {};
      }),
    });
    router.service(UserService, {
      getMe: this.#answer("getMe", () => {
        const me = people.find((person) => person.email === this.cookie) ?? people[0]!;
        return {
          user: { id: idAt(1, 1), email: me.email, fullName: me.fullName, isActive: true },
          organization: { id: idAt(1, 2), name: me.organization, slug: "org" },
          roles: me.roles,
          permissions: me.roles
            .flatMap((role) => permissionsOf[role] ?? [])
            .map((name) => ({ name, scope: Permission_Scope.ALL })),
        };
      }),
    });
    router.service(EventService, {
      listEvents: this.#answer("listEvents", (request: ListEventsRequest) => {
        this.lastListEvents = request;
        const after = request.publishedAfter ? Number(request.publishedAfter.seconds) * 1000 : 0;
        const found = this.events
          .filter((event) => request.types.length === 0 || request.types.includes(event.type))
          .filter((event) => request.statuses.length === 0 || request.statuses.includes(event.status))
          .filter(
            (event) => !request.handlerName || event.deliveries.some((d) => d.handlerName === request.handlerName),
          )
          .filter((event) => !request.id || event.id === request.id || event.correlationId === request.id)
          .filter((event) => Number(event.publishedAt?.seconds ?? 0) * 1000 >= after)
          .sort((a, b) => (a.id < b.id ? 1 : -1));
        const start = Number(request.pageToken || 0);
        const end = start + (request.pageSize || 50);
        return { events: found.slice(start, end), nextPageToken: end < found.length ? String(end) : "" };
      }),
      getEvent: this.#answer("getEvent", ({ id }: { id: string }) => {
        const event = this.events.find((e) => e.id === id);
        if (!event) throw failure(Code.NotFound, "EVENT_NOT_FOUND", "There is no such event.");
        return { event };
      }),
      listEventTypes: this.#answer("listEventTypes", () => ({
        eventTypes: [
          {
            name: "job.created",
            schemaVersion: 1,
            messageName: "intime.job.v1.JobCreated",
            handlerNames: ["notify_matching_candidates"],
          },
          {
            name: "system.probe",
            schemaVersion: 1,
            messageName: "intime.system.v1.SystemProbe",
            handlerNames: ["audit_probe", "system_probe"],
          },
          { name: "system.probed", schemaVersion: 1, messageName: "intime.system.v1.SystemProbed", handlerNames: [] },
        ],
      })),
    });
    router.service(JobService, {
      listJobs: this.#answer("listJobs", (request) => {
        const query = request.query.toLowerCase();
        const found = this.jobs
          .filter((job) => request.statuses.length === 0 || request.statuses.includes(job.status))
          .filter((job) =>
            [job.title, job.location, ...job.requiredSkills].some((text) => text.toLowerCase().includes(query)),
          );
        const start = Number(request.pageToken || 0);
        const end = start + (request.pageSize || 50);
        return { jobs: found.slice(start, end), nextPageToken: end < found.length ? String(end) : "" };
      }),
      getJob: this.#answer("getJob", ({ id }: { id: string }) => ({ job: this.#job(id) })),
      createJob: this.#answer("createJob", ({ $typeName: _, ...fields }) => {
        const now = this.now();
        const job = create(JobSchema, {
          ...fields,
          id: idAt(now, 7),
          status: JobStatus.OPEN,
          version: 1n,
          createdBy: idAt(1, 1),
          createdAt: timestampFromMs(now),
          updatedAt: timestampFromMs(now),
        });
        this.jobs.unshift(job);
        this.events.unshift(
          eventAt(now, { payload: { jobId: job.id, title: job.title, requiredSkills: job.requiredSkills } }),
        );
        return { job };
      }),
      updateJob: this.#answer("updateJob", ({ $typeName: _, id, version, requiredSkills, clear, ...fields }) => {
        const job = this.#job(id);
        if (job.version !== version)
          throw failure(
            Code.Aborted,
            "JOB_VERSION_STALE",
            "The job was changed in the meantime. Load it again and repeat your change.",
          );
        const sent = Object.fromEntries(Object.entries<unknown>(fields).filter(([, value]) => value !== undefined));
        const next = create(JobSchema, {
          ...job,
          ...sent,
          ...(requiredSkills && { requiredSkills: requiredSkills.values }),
          version: version + 1n,
        });
        if (clear.includes(Clearable.SALARY_MIN)) next.salaryMin = undefined;
        if (clear.includes(Clearable.SALARY_MAX)) next.salaryMax = undefined;
        if (clear.includes(Clearable.EXPERIENCE_YEARS_MIN)) next.experienceYearsMin = undefined;
        if (clear.includes(Clearable.EXPERIENCE_YEARS_MAX)) next.experienceYearsMax = undefined;
        if (clear.includes(Clearable.CLIENT_ID)) next.clientId = "";
        this.jobs = this.jobs.map((other) => (other.id === id ? next : other));
        return { job: next };
      }),
      deleteJob: this.#answer("deleteJob", ({ id }: { id: string }) => {
        this.jobs = this.jobs.filter((job) => job.id !== id);
        return {};
      }),
    });
  };

  #answer<I, O>(name: string, answer: (request: I) => O): (request: I) => O {
    return (request) => {
      this.calls.push(name);
      const error = this.failing[name];
      if (error) throw error;
      return answer(request);
    };
  }

  #job(id: string): Job {
    const job = this.jobs.find((j) => j.id === id);
    if (!job) throw failure(Code.NotFound, "JOB_NOT_FOUND", "There is no such job.");
    return job;
  }

  #token() {
    return { token: `token-${++this.#tokens}`, expiresAt: timestampFromMs(this.now() + this.tokenLifeMs) };
  }
}
