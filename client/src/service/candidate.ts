export * from "../../../gen/ts/intime/candidate/v1/candidate_event_pb.js";
export * from "../../../gen/ts/intime/candidate/v1/candidate_pb.js";
export * from "../../../gen/ts/intime/candidate/v1/candidate_service_pb.js";
export * from "../../../gen/ts/intime/candidate/v1/pod_metrics_pb.js";
