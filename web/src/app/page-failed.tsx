import type { ErrorComponentProps } from '@tanstack/react-router'
import { Button } from '../design/button.tsx'
import { say } from '../words/say.ts'

/** As browsers name a call, or a part of the page, that did not arrive. */
const isUnreachable = (error: unknown): boolean =>
  error instanceof TypeError && /fetch|network|load failed/i.test(error.message)

export function PageFailed({ error }: ErrorComponentProps) {
  return (
    <main className="grid place-items-center p-8 text-center">
      <div className="grid justify-items-center gap-3">
        <h1 className="font-semibold text-title">{say('app.failed')}</h1>
        <p className="max-w-prose text-mute">
          {isUnreachable(error) ? say('app.unreachable') : error instanceof Error ? error.message : String(error)}
        </p>
        <Button onClick={() => location.reload()}>{say('app.failed.again')}</Button>
      </div>
    </main>
  )
}
