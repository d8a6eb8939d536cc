import { Link } from '@tanstack/react-router'
import { say } from '../words/say.ts'

export function NotFound() {
  return (
    <main className="grid place-items-center gap-4 p-8 text-center">
      <div className="grid gap-2">
        <h1 className="font-semibold text-title">{say('app.not_found')}</h1>
        <Link to="/" className="text-accent underline underline-offset-2">
          {say('app.to_inbox')}
        </Link>
      </div>
    </main>
  )
}
