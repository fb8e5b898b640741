import { type DescMethod, getOption } from "@bufbuild/protobuf";
import { authorization } from "../../gen/ts/intime/auth/v1/options_pb.js";
import type { Permission } from "../../gen/ts/intime/user/v1/user_service_pb.js";

/** Returns the permission a method asks for, for example "job:create"; undefined where it asks for none. */
export function permissionOf(method: DescMethod): string | undefined {
  const { rule } = getOption(method, authorization);
  return rule.case === "permission" ? rule.value : undefined;
}

/** Says whether a method may be called without signing in. */
export function isPublic(method: DescMethod): boolean {
  const { rule } = getOption(method, authorization);
  return rule.case === "public" && rule.value;
}

/**
 * Says whether somebody with these permissions may call a method at all, by the same option the server enforces. A
 * permission may reach only what is the person's own: the server still decides for the record at hand.
 */
export function can(permissions: readonly Pick<Permission, "name">[], method: DescMethod): boolean {
  if (isPublic(method)) return true;
  const needed = permissionOf(method);
  return needed !== undefined && permissions.some((permission) => permission.name === needed);
}
