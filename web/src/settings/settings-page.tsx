import '../words/later.ts'
import { Link, Outlet } from '@tanstack/react-router'
import { manages, usePerson } from '../api/person.ts'
import { Page } from '../design/page.tsx'
import { say } from '../words/say.ts'

const own = [
  ['/settings/profile', 'settings.profile'],
  ['/settings/security', 'settings.security'],
  ['/settings/sessions', 'settings.sessions'],
  ['/settings/appearance', 'settings.appearance'],
] as const

const everybodys = [
  ['/settings/people', 'settings.people'],
  ['/settings/teams', 'settings.teams'],
  ['/settings/agents', 'settings.agents'],
] as const

const managers = [
  ['/settings/identity-providers', 'settings.providers'],
  ['/settings/organization', 'settings.organization'],
] as const

const linkShape =
  'flex min-h-[29px] items-center rounded-[6px] px-2 text-mute hover:text-ink pointer-coarse:min-h-11 ' +
  'aria-[current=page]:bg-chosen aria-[current=page]:font-medium aria-[current=page]:text-ink'

/** The sections of the settings, and the one that is open. */
export function SettingsPage() {
  const isManager = manages(usePerson())
  return (
    <Page title={say('settings.title')}>
      <div className="grid items-start gap-6 wide:grid-cols-[160px_minmax(0,1fr)] wide:gap-10">
        <nav aria-label={say('settings.title')} className="flex flex-wrap gap-px wide:grid">
          {[...own, ...everybodys, ...(isManager ? managers : [])].map(([to, label]) => (
            <Link key={to} to={to} className={linkShape}>
              {say(label)}
            </Link>
          ))}
        </nav>
        <div className="grid min-w-0 gap-10">
          <Outlet />
        </div>
      </div>
    </Page>
  )
}
