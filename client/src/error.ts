import { Code, ConnectError } from "@connectrpc/connect";
import { type ErrorDetail, ErrorDetailSchema } from "../../gen/ts/intime/error/v1/error_detail_pb.js";

/** What is wrong with one field of a request. */
export interface FieldError {
  /** The path of the field in the schema's own spelling, for example "salary_max" or "required_skills[2]". */
  field: string;
  /** The stable id of the rule, for example "job.title". */
  rule: string;
  /** A sentence for a person. */
  message: string;
}

/** Returns what the server says about an error beside its code and sentence; undefined where it said nothing. */
export function errorDetailOf(err: unknown): ErrorDetail | undefined {
  return err instanceof ConnectError ? err.findDetails(ErrorDetailSchema)[0] : undefined;
}

/** Returns the stable name of what went wrong, for example "JOB_VERSION_STALE". */
export function reasonOf(err: unknown): string | undefined {
  return errorDetailOf(err)?.reason || undefined;
}

/** Says whether an error happened for one of these reasons. */
export function isReason(err: unknown, ...reasons: string[]): boolean {
  const reason = reasonOf(err);
  return reason !== undefined && reasons.includes(reason);
}

/** Returns the id under which the server's log has the failed request. */
export function requestIdOf(err: unknown): string | undefined {
  if (!(err instanceof ConnectError)) return undefined;
  return errorDetailOf(err)?.requestId || err.metadata.get("x-request-id") || undefined;
}

/** Returns what is wrong with which field of the request, in the server's order. */
export function fieldErrors(err: unknown): FieldError[] {
  const violations = errorDetailOf(err)?.violations ?? [];
  return violations.map(({ field, rule, message }) => ({ field, rule, message }));
}

/** Returns for how many milliseconds the server asks to wait before another try; undefined where it does not say. */
export function retryDelayOf(err: unknown, now = Date.now()): number | undefined {
  const value = err instanceof ConnectError ? err.metadata.get("retry-after") : null;
  if (!value) return undefined;
  const seconds = Number(value);
  if (Number.isFinite(seconds)) return Math.max(0, seconds * 1000);
  const date = Date.parse(value);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

/** Returns a sentence for a person: the server's own, or what can be said when it could not be asked. */
export function messageOf(err: unknown): string {
  const { code, rawMessage } = ConnectError.from(err);
  if (errorDetailOf(err)) return rawMessage;
  switch (code) {
    case Code.Canceled:
      return "The request was cancelled.";
    case Code.DeadlineExceeded:
      return "The server took too long to answer.";
    case Code.Unauthenticated:
      return "You are not signed in.";
    default:
      return "The server could not be reached, or its answer was not understood.";
  }
}
