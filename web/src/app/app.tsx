import { I18nProvider } from '@lingui/react'
import { QueryClientProvider } from '@tanstack/react-query'
import { RouterProvider } from '@tanstack/react-router'
import { StrictMode } from 'react'
import { StepUp } from '../account/step-up.tsx'
import { queryClient } from '../api/query-client.ts'
import { i18n } from '../words/say.ts'
import { router } from './routes.tsx'

export function App() {
  return (
    <StrictMode>
      <QueryClientProvider client={queryClient}>
        <I18nProvider i18n={i18n}>
          <RouterProvider router={router} />
          <StepUp />
        </I18nProvider>
      </QueryClientProvider>
    </StrictMode>
  )
}
