export * from "../../../gen/ts/intime/event/v1/event_pb.js";
export * from "../../../gen/ts/intime/event/v1/event_service_pb.js";
export * from "../../../gen/ts/intime/event/v1/replay_pb.js";
export * from "../../../gen/ts/intime/event/v1/dead_letter_pb.js";
export * from "../../../gen/ts/intime/event/v1/dead_letter_service_pb.js";
export * from "../../../gen/ts/intime/event/v1/event_settings_service_pb.js";
