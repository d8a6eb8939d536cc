import type { ErrorComponentProps } from '@tanstack/react-router'
import { Button } from '../design/button.tsx'
import { say } from '../words/say.ts'

export function PageFailed({ error }: ErrorComponentProps) {
  return (
    <main className="grid place-items-center p-8 text-center">
      <div className="grid justify-items-center gap-3">
        <h1 className="font-semibold text-title">{say('app.failed')}</h1>
        <p className="max-w-prose text-mute">{error instanceof Error ? error.message : String(error)}</p>
        <Button onClick={() => location.reload()}>{say('app.failed.again')}</Button>
      </div>
    </main>
  )
}
