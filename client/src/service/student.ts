export * from "../../../gen/ts/intime/student/v1/student_event_pb.js";
export * from "../../../gen/ts/intime/student/v1/student_pb.js";
export * from "../../../gen/ts/intime/student/v1/student_service_pb.js";
