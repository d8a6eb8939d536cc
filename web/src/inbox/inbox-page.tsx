import { useParams } from '@tanstack/react-router'
import { MenuButton } from '../design/menu-button.tsx'
import { say } from '../words/say.ts'
import { queueOf } from './queues.ts'

export function InboxPage() {
  const { queue = '' } = useParams({ strict: false })
  return (
    <main className="bg-pane">
      <header className="flex h-12 items-center gap-2 border-line border-b px-4">
        <MenuButton />
        <h1 className="font-semibold">{say(queueOf(queue).label)}</h1>
      </header>
    </main>
  )
}
