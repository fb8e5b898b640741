export * from "../../../gen/ts/intime/error/v1/error_detail_pb.js";
