/**
 * The floors of the house (ARCHITECTURE.md): a module reaches down, never up and never sideways.
 * main -> commands -> app -> {consultations, callbacks} -> events -> identity -> platform; http stands on platform.
 */
const src = '^server/src'
const features = 'consultations|callbacks|notifications|realtime'

module.exports = {
  forbidden: [
    {
      name: 'no-circles',
      comment: 'A circle means two files are one. Type-only circles count.',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'platform-knows-no-module',
      severity: 'error',
      from: { path: `${src}/platform/` },
      to: { path: `${src}/`, pathNot: `${src}/platform/` },
    },
    {
      name: 'http-stands-on-platform',
      severity: 'error',
      from: { path: `${src}/http/` },
      to: { path: `${src}/`, pathNot: `${src}/(http|platform)/` },
    },
    {
      name: 'identity-stands-on-platform',
      comment: 'Its routes may use the web server.',
      severity: 'error',
      from: { path: `${src}/identity/` },
      to: { path: `${src}/`, pathNot: `${src}/(identity|platform|http)/` },
    },
    {
      name: 'events-stand-on-identity',
      severity: 'error',
      from: { path: `${src}/events/` },
      to: { path: `${src}/`, pathNot: `${src}/(events|identity|platform|http)/` },
    },
    {
      name: 'no-feature-calls-another',
      comment: 'Features meet in app.ts and in events, nowhere else.',
      severity: 'error',
      from: { path: `${src}/(${features})/` },
      to: { path: `${src}/(${features})/`, pathNot: `${src}/$1/` },
    },
    {
      name: 'features-reach-down',
      severity: 'error',
      from: { path: `${src}/(${features})/` },
      to: { path: `${src}/(main|app|seed|database|processes|config)\\.ts$` },
    },
    {
      name: 'rules-are-pure',
      comment: 'A noun file holds rules: no database, no web server, no clock.',
      severity: 'error',
      from: {
        path: `${src}/(consultations/consultation|callbacks/callback|callbacks/signature|identity/(user|principal|invitation))\\.ts$`,
      },
      to: {
        path: `(${src}/platform/(database/|log\\.ts|loop\\.ts)|store\\.ts$|service\\.ts$|^node_modules/(pg|fastify|kysely))`,
      },
    },
    {
      name: 'only-the-store-knows-sql',
      severity: 'error',
      from: { path: `${src}/`, pathNot: `${src}/(platform/|.*/store\\.ts$)` },
      to: { path: '^node_modules/(kysely|pg)/' },
    },
    {
      name: 'only-app-composes',
      comment: 'Nothing below the composition root may know it; the commands stand above.',
      severity: 'error',
      from: { path: `${src}/[^/]+/`, pathNot: `${src}/commands/` },
      to: { path: `${src}/[^/]+\\.ts$` },
    },
    {
      name: 'commands-are-the-top',
      comment: 'Only main.ts runs them, and none of them needs main.ts.',
      severity: 'error',
      from: { path: `${src}/`, pathNot: `${src}/(commands/|main\\.ts$)` },
      to: { path: `${src}/commands/` },
    },
    {
      name: 'the-command-line-needs-nothing',
      comment: 'It is published, and verifies exports where nothing else is installed.',
      severity: 'error',
      from: { path: '^cli/src/' },
      to: { path: '^node_modules/', pathNot: '^node_modules/@types/' },
    },
    {
      name: 'no-server-in-other-workspaces',
      comment: 'Only openapi.json crosses.',
      severity: 'error',
      from: { path: '^(bench|web|sdk|cli)/' },
      to: { path: '^server/' },
    },
    {
      name: 'source-needs-no-test',
      severity: 'error',
      from: { path: '^(server|bench|cli)/src' },
      to: { path: '/test/' },
    },
    {
      name: 'resolvable',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: 'no-dev-dependency-in-source',
      severity: 'error',
      from: { path: '^server/src' },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'] },
    },
    {
      name: 'no-orphans',
      severity: 'error',
      from: { orphan: true, pathNot: '(main\\.ts|\\.test\\.ts|scripts/.*)$' },
      to: {},
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
    },
  },
}
