/**
 * The typed client of InTime. Start at createIntimeTransport. The services and messages themselves are beside it:
 * `@intime/client/job`, `/event`, `/user`, `/session`.
 */
export {
  type FieldError,
  errorDetailOf,
  fieldErrors,
  isReason,
  messageOf,
  reasonOf,
  requestIdOf,
  retryDelayOf,
} from "./error.js";
export { can, isPublic, permissionOf } from "./permission.js";
export { Session, type SessionOptions, type SessionState } from "./session.js";
export { type IntimeTransportOptions, type TokenSource, createIntimeTransport } from "./transport.js";
