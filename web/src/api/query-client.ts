import { QueryClient } from '@tanstack/react-query'
import { isRefused } from './refused.ts'

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 30_000,
      // A refusal stays one; what did not arrive may arrive the next time.
      retry: (failures, error) => failures < 3 && !(isRefused(error) && error.status < 500),
    },
  },
})
