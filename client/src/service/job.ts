export * from "../../../gen/ts/intime/job/v1/job_pb.js";
export * from "../../../gen/ts/intime/job/v1/job_service_pb.js";
export * from "../../../gen/ts/intime/job/v1/job_event_pb.js";
