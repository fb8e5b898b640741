import { Code, ConnectError } from "@connectrpc/connect";
import { QueryClient } from "@tanstack/react-query";

/** Codes of errors that pass by themselves, where asking again helps. */
const passing = new Set([Code.Unavailable, Code.DeadlineExceeded, Code.Aborted, Code.Unknown]);

export function createQueryClient() {
  return new QueryClient({
    defaultOptions: {
      queries: {
        retry: (failures, error) => failures < 2 && passing.has(ConnectError.from(error).code),
        staleTime: 1000,
      },
      mutations: { retry: false },
    },
  });
}
