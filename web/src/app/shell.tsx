import { useQuery } from '@tanstack/react-query'
import { Link, Outlet, useSearch } from '@tanstack/react-router'
import { LogOut } from 'lucide-react'
import { lazy, Suspense, useEffect, useState, useSyncExternalStore } from 'react'
import { countsQuery, organizationQuery } from '../api/counts.ts'
import { usePerson } from '../api/person.ts'
import { session, signOut } from '../api/session.ts'
import { Announcer } from '../design/announcer.tsx'
import { navigationId } from '../design/navigation.ts'
import { queueNamed, queues } from '../inbox/queues.ts'
import { KeyButton } from '../keys/key-button.tsx'
import { useLiveUpdates, useShownConnection } from '../live/changes.ts'
import { useAside } from '../snoozing/aside.ts'
import type { Filters } from '../views/filters.ts'
import { say } from '../words/say.ts'
import { houseLinks } from './house-links.ts'
import { Overlays } from './overlays.tsx'
import { UndoToast } from './undo-toast.tsx'

/** Everything behind the sign-in begins anew for another person or organization, what follows changes too. */
export function Shell() {
  const who = useSyncExternalStore(session.subscribe, session.who)
  return who === null ? null : <House key={who} />
}

/** The navigation beside the page; on narrow screens a popover, which the page's own header opens. */
function House() {
  useLiveUpdates(queues)
  return (
    <div className="grid h-dvh grid-cols-[minmax(0,1fr)] wide:grid-cols-[208px_minmax(0,1fr)]">
      <Navigation />
      <Outlet />
      <UndoToast />
      <Overlays />
      <Announcer />
    </div>
  )
}

const linkShape =
  'flex min-h-[29px] items-center justify-between gap-2 rounded-[6px] px-2 text-mute hover:text-ink pointer-coarse:min-h-11 ' +
  'aria-[current=page]:bg-chosen aria-[current=page]:font-medium aria-[current=page]:text-ink'

const ViewLinks = lazy(() => import('../views/view-links.tsx').then((part) => ({ default: part.ViewLinks })))

/** The popover is done once a link of it was followed. */
const close = (): void => {
  const navigation = document.getElementById(navigationId)
  if (navigation?.matches(':popover-open')) navigation.hidePopover()
}

function Navigation() {
  const { data: organization } = useQuery(organizationQuery)
  const person = usePerson()
  return (
    <aside
      id={navigationId}
      aria-label={say('nav.title')}
      popover="auto"
      className="inset-y-0 start-0 end-auto m-0 h-dvh w-64 flex-col gap-px border-line border-e bg-side px-2 py-3 text-ink backdrop:bg-veil open:flex wide:static wide:flex wide:w-auto"
    >
      <p className="flex items-center gap-2 px-2 pt-1 pb-3 font-semibold">
        <span className="size-[18px] shrink-0 rounded-[5px] bg-accent" aria-hidden="true" />
        <bdi className="truncate">{organization?.name ?? say('app.name')}</bdi>
        <KeyButton act="palette" className="ms-auto" />
      </p>
      <nav aria-label={say('nav.queues')} className="grid gap-px">
        <QueueLinks />
      </nav>
      <Suspense>
        <ViewLinks className={linkShape} nameOf={queueNamed} onFollow={close} />
      </Suspense>
      <hr className="mx-2 my-2.5" />
      <nav aria-label={say('nav.house')} className="grid gap-px">
        {houseLinks
          .filter(({ isFor }) => isFor?.(person) ?? true)
          .map(({ to, label }) => (
            <Link key={to} to={to} className={linkShape} onClick={close}>
              {say(label)}
            </Link>
          ))}
      </nav>
      <Connected />
      <SignOut />
    </aside>
  )
}

function SignOut() {
  const [isRefused, setRefused] = useState(false)
  return (
    <>
      <button
        type="button"
        className={`${linkShape} justify-start`}
        onClick={() => void signOut().catch(() => setRefused(true))}
      >
        <LogOut className="size-3.5 rtl:-scale-x-100" aria-hidden="true" />
        {say('nav.sign_out')}
      </button>
      {isRefused ? (
        <p role="alert" className="px-2 text-critical text-small">
          {say('nav.not_signed_out')}
        </p>
      ) : null}
    </>
  )
}

/** Whether changes arrive: as a word, beside the dot. */
function Connected() {
  const connection = useShownConnection()
  return (
    <p className="mt-auto flex items-center gap-2 px-2 py-1.5 text-faint">
      <span
        className={`size-[7px] rounded-full ${connection === 'away' ? 'bg-high' : connection === 'live' ? 'bg-low' : 'bg-medium'}`}
        aria-hidden="true"
      />
      {say(`connection.${connection}`)}
    </p>
  )
}

function QueueLinks() {
  const { data: counts } = useQuery(countsQuery)
  useAsideRead(counts?.queues.snoozed)
  // A list with filters is not the queue itself: that has none of them.
  const names = Object.keys(useSearch({ strict: false }))
  const none = Object.fromEntries(names.map((name) => [name, undefined])) as unknown as Filters
  return queues.map(({ name, label, isUrgent, count }) => {
    const waiting = counts === undefined ? null : count(counts)
    return (
      <Link
        key={name}
        to="/inbox/$queue"
        params={{ queue: name }}
        className={linkShape}
        onClick={close}
        search={none}
        activeOptions={{ explicitUndefined: true }}
      >
        {say(label)}
        {waiting === null || waiting === 0 ? null : (
          <span className={`tabular font-medium ${isUrgent ? 'text-high' : 'text-faint'}`}>
            {say('nav.count', { count: waiting })}
          </span>
        )}
      </Link>
    )
  })
}

/** An act of this page is counted by the service sooner than this. */
const countedMs = 1_500

/** Reads what is put aside again where the service counts another number of it than this page knows. */
function useAsideRead(count: number | undefined): void {
  const known = useAside().ids.size
  useEffect(() => {
    if (count === undefined || count === known) return
    const timer = setTimeout(async () => {
      const { readAside } = await import('../snoozing/acts.ts')
      // What cannot be read now is read when the number changes again.
      readAside(queues).catch(() => undefined)
    }, countedMs)
    return () => clearTimeout(timer)
  }, [count, known])
}
