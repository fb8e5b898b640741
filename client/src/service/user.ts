export * from "../../../gen/ts/intime/user/v1/user_pb.js";
export * from "../../../gen/ts/intime/user/v1/user_service_pb.js";
export * from "../../../gen/ts/intime/user/v1/user_event_pb.js";
