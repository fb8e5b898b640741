export * from "../../../gen/ts/intime/event/v1/event_pb.js";
export * from "../../../gen/ts/intime/event/v1/event_service_pb.js";
