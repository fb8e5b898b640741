export * from "../../../gen/ts/intime/session/v1/session_service_pb.js";
