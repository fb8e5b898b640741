export * from "../../../gen/ts/intime/student/v1/student_event_pb.js";
