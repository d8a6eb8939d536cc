import {
  createRootRoute,
  createRoute,
  createRouter,
  lazyRouteComponent,
  Outlet,
  redirect,
} from '@tanstack/react-router'
import { publicPath } from '../api/public-path.ts'
import { session } from '../api/session.ts'
import { filterOf } from '../audit/filter.ts'
import { InboxPage } from '../inbox/inbox-page.tsx'
import { queues } from '../inbox/queues.ts'
import { filtersOf } from '../views/filters.ts'
import { forgetOthers } from './forget-others.ts'
import { NotFound } from './not-found.tsx'
import { PageFailed } from './page-failed.tsx'
import { Shell } from './shell.tsx'
import { signOutTogether } from './sign-out-together.ts'
import { start } from './start.ts'

/**
 * Every address of the application. Its first segment is also in `webSegments` of the service, which serves the page there
 * (server/test/http/web-app.test.ts compares them). A page of its own feature is loaded when somebody goes to it.
 */
const root = createRootRoute({ component: Outlet, notFoundComponent: NotFound, errorComponent: PageFailed })

const signIn = createRoute({
  getParentRoute: () => root,
  path: '/sign-in',
  validateSearch: ({ to, provider }: Record<string, unknown>) => ({
    to: typeof to === 'string' ? ownAddress(to) : '/',
    ...(typeof provider === 'string' ? { provider } : {}),
  }),
  beforeLoad: async ({ search }) => {
    await start()
    if (session.get().status === 'signed-in') throw redirect({ href: search.to, replace: true })
  },
  component: lazyRouteComponent(() => import('../account/sign-in-page.tsx'), 'SignInPage'),
})

/** A link could name any address; only a path of ours is followed. */
const ownAddress = (to: string): string => (/^\/(?![/\\])/.test(to) ? to : '/')

/** Where mailed links lead, whoever is signed in. */
const setup = createRoute({
  getParentRoute: () => root,
  path: '/setup',
  beforeLoad: start,
  component: lazyRouteComponent(() => import('../account/setup-page.tsx'), 'SetupPage'),
})
const forgotPassword = createRoute({
  getParentRoute: () => root,
  path: '/password/forgot',
  component: lazyRouteComponent(() => import('../account/forgot-page.tsx'), 'ForgotPage'),
})
const resetPassword = createRoute({
  getParentRoute: () => root,
  path: '/password/reset',
  component: lazyRouteComponent(() => import('../account/reset-page.tsx'), 'ResetPage'),
})
const confirmEmail = createRoute({
  getParentRoute: () => root,
  path: '/email/confirm',
  component: lazyRouteComponent(() => import('../account/confirm-email-page.tsx'), 'ConfirmEmailPage'),
})

/** Everything that takes a session. */
const inside = createRoute({
  getParentRoute: () => root,
  id: 'inside',
  beforeLoad: async ({ location }) => {
    await start()
    if (session.get().status !== 'signed-in') throw redirect({ to: '/sign-in', search: { to: location.href } })
  },
  component: Shell,
})

const front = createRoute({
  getParentRoute: () => inside,
  path: '/',
  beforeLoad: () => {
    throw redirect({ to: '/inbox/$queue', params: { queue: queues[0].name }, replace: true })
  },
})

const inbox = createRoute({
  getParentRoute: () => inside,
  path: '/inbox/$queue',
  validateSearch: filtersOf,
  component: InboxPage,
})
const item = createRoute({ getParentRoute: () => inbox, path: '/$id' })

const settings = createRoute({
  getParentRoute: () => inside,
  path: '/settings',
  component: lazyRouteComponent(() => import('../settings/settings-page.tsx'), 'SettingsPage'),
})
const settingsPages = settings.addChildren([
  createRoute({
    getParentRoute: () => settings,
    path: '/',
    beforeLoad: () => {
      throw redirect({ to: '/settings/profile', replace: true })
    },
  }),
  createRoute({
    getParentRoute: () => settings,
    path: 'profile',
    component: lazyRouteComponent(() => import('../settings/profile-page.tsx'), 'ProfilePage'),
  }),
  createRoute({
    getParentRoute: () => settings,
    path: 'security',
    component: lazyRouteComponent(() => import('../settings/security-page.tsx'), 'SecurityPage'),
  }),
  createRoute({
    getParentRoute: () => settings,
    path: 'sessions',
    component: lazyRouteComponent(() => import('../settings/sessions-page.tsx'), 'SessionsPage'),
  }),
  createRoute({
    getParentRoute: () => settings,
    path: 'appearance',
    component: lazyRouteComponent(() => import('../settings/appearance-page.tsx'), 'AppearancePage'),
  }),
  createRoute({
    getParentRoute: () => settings,
    path: 'people',
    component: lazyRouteComponent(() => import('../settings/people-page.tsx'), 'PeoplePage'),
  }),
  createRoute({
    getParentRoute: () => settings,
    path: 'teams',
    component: lazyRouteComponent(() => import('../settings/teams-page.tsx'), 'TeamsPage'),
  }),
  createRoute({
    getParentRoute: () => settings,
    path: 'agents',
    component: lazyRouteComponent(() => import('../settings/agents-page.tsx'), 'AgentsPage'),
  }),
  createRoute({
    getParentRoute: () => settings,
    path: 'identity-providers',
    component: lazyRouteComponent(() => import('../settings/providers-page.tsx'), 'ProvidersPage'),
  }),
  createRoute({
    getParentRoute: () => settings,
    path: 'organization',
    component: lazyRouteComponent(() => import('../settings/organization-page.tsx'), 'OrganizationPage'),
  }),
])

const overview = createRoute({
  getParentRoute: () => inside,
  path: '/overview',
  component: lazyRouteComponent(() => import('../overview/overview-page.tsx'), 'OverviewPage'),
})
const callbacks = createRoute({
  getParentRoute: () => inside,
  path: '/callbacks',
  component: lazyRouteComponent(() => import('../callbacks/callbacks-page.tsx'), 'CallbacksPage'),
})
const audit = createRoute({
  getParentRoute: () => inside,
  path: '/audit',
  validateSearch: filterOf,
  component: lazyRouteComponent(() => import('../audit/audit-page.tsx'), 'AuditPage'),
})

export const router = createRouter({
  routeTree: root.addChildren([
    signIn,
    setup,
    forgotPassword,
    resetPassword,
    confirmEmail,
    inside.addChildren([front, inbox.addChildren([item]), settingsPages, overview, callbacks, audit]),
  ]),
  basepath: publicPath === '' ? '/' : publicPath,
  defaultNotFoundComponent: NotFound,
  defaultErrorComponent: PageFailed,
})

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router
  }
}

// First, before anything is drawn for the next person.
forgetOthers()
signOutTogether()
// A session that ended leads to the sign-in, and one that began away from it.
session.subscribe(() => void router.invalidate())
