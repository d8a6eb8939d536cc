import { lazy, Suspense, useEffect, useRef, useState } from 'react'
import { onStepUp, type StepUpAsked } from '../api/step-up.ts'

const StepUpDialog = lazy(() => import('./step-up-dialog.tsx').then((module) => ({ default: module.StepUpDialog })))

interface Waiting extends StepUpAsked {
  readonly finish: (token: string | null) => void
}

/** Opens the dialog for each call that asks for a proof, one after another. */
export function StepUp() {
  const [waiting, setWaiting] = useState<Waiting | null>(null)
  const last = useRef<Promise<unknown>>(Promise.resolve())
  useEffect(
    () =>
      onStepUp((asked) => {
        const next = last.current.then(
          () => new Promise<string | null>((resolve) => setWaiting({ ...asked, finish: resolve })),
        )
        last.current = next
        return next
      }),
    [],
  )
  if (waiting === null) return null
  const { finish, ...asked } = waiting
  const done = (token: string | null): void => {
    setWaiting(null)
    finish(token)
  }
  return (
    <Suspense>
      <StepUpDialog key={asked.digest} {...asked} onDone={done} />
    </Suspense>
  )
}
