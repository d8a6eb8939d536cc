import { QueryClient } from '@tanstack/react-query'
import { isRefused } from './refused.ts'

/**
 * What cannot be sent fails at once. By itself the library would ask whether there is a network, which says nothing of a service on
 * this very machine, and would send an answer later, behind the person's back.
 */
const networkMode = 'always'

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      networkMode,
      staleTime: 30_000,
      // A refusal stays one; what did not arrive may arrive the next time.
      retry: (failures, error) => failures < 3 && !(isRefused(error) && error.status < 500),
    },
    mutations: { networkMode },
  },
})
