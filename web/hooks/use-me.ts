"use client";

import type { DescMethod } from "@bufbuild/protobuf";
import { can } from "@intime/client";
import type { GetMeResponse } from "@intime/client/user";
import { createContext, use, useCallback } from "react";

export const MeContext = createContext<GetMeResponse | undefined>(undefined);

/** Returns who is signed in, in which organisation, and what he may do. */
export function useMe(): GetMeResponse {
  const me = use(MeContext);
  if (!me) throw new Error("useMe is for components inside SignedIn");
  return me;
}

/** Returns the function that says whether the person may call a method, by the option that the server enforces. */
export function useCan(): (method: DescMethod) => boolean {
  const { permissions } = useMe();
  return useCallback((method) => can(permissions, method), [permissions]);
}
