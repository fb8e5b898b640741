package apierr

// The reasons that do not belong to one feature. Features have theirs beside their errors.
const (
	ReasonInvalid           = "INVALID_ARGUMENT"     // fields break rules; the violations name them
	ReasonMalformed         = "MALFORMED_REQUEST"    // the request cannot be decoded
	ReasonTooLarge          = "REQUEST_TOO_LARGE"    // the request is larger than the server takes
	ReasonUnauthenticated   = "UNAUTHENTICATED"      // no token, or one that is not accepted
	ReasonAccountInactive   = "ACCOUNT_INACTIVE"     // the person was deactivated, or his organisation suspended
	ReasonPermissionDenied  = "PERMISSION_DENIED"    // the person lacks the permission that the message names
	ReasonUnknownProcedure  = "UNKNOWN_PROCEDURE"    // there is no such procedure
	ReasonPageToken         = "PAGE_TOKEN_INVALID"   // the page token is damaged or belongs to other filters
	ReasonAlreadyExists     = "ALREADY_EXISTS"       // something of that name or key exists
	ReasonReferenceNotFound = "REFERENCE_NOT_FOUND"  // the request names something that does not exist
	ReasonRuleBroken        = "RULE_BROKEN"          // a rule of the database was broken
	ReasonConflict          = "CONFLICT"             // a concurrent change got in the way; trying again helps
	ReasonDeadline          = "DEADLINE_EXCEEDED"    // the call took longer than it may
	ReasonCanceled          = "CANCELED"             // the caller hung up
	ReasonUnavailable       = "DATABASE_UNAVAILABLE" // the database cannot be reached; trying again helps
	ReasonInternal          = "INTERNAL"             // something else went wrong; the server's log has it under the request id
)
