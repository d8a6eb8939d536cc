import { QueryClientProvider } from '@tanstack/react-query'
import { RouterProvider } from '@tanstack/react-router'
import { StrictMode } from 'react'
import { StepUp } from '../account/step-up.tsx'
import { queryClient } from '../api/query-client.ts'
import { router } from './routes.tsx'

export function App() {
  return (
    <StrictMode>
      <QueryClientProvider client={queryClient}>
        <RouterProvider router={router} />
        <StepUp />
      </QueryClientProvider>
    </StrictMode>
  )
}
