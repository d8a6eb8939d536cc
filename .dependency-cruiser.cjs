/**
 * The floors of the house (floors.json, ARCHITECTURE.md): a room reaches down, never up and never sideways. Each list begins at the
 * ground; rooms that share a line do not know one another. A name that ends in .ts or .tsx is one file, any other a folder.
 * server/test/layout.test.ts plants a breach of every rule here and sees it found.
 */
const src = '^server/src'

const floors = require('./floors.json')

const below = (place, room) => `^${place}/${/\.tsx?$/.test(room) ? room.replace('.', '\\.') : `${room}/`}`
const anyOf = (place, rooms) => rooms.map((room) => below(place, room)).join('|')

const reachesDownOnly = Object.entries(floors).flatMap(([name, storeys]) => {
  const place = name === 'server' ? 'server/src' : name
  return storeys.flatMap((rooms, storey) =>
    rooms.flatMap((room) => {
      const forbidden = [...rooms.filter((other) => other !== room), ...storeys.slice(storey + 1).flat()]
      if (forbidden.length === 0) return []
      return [
        {
          name: `${place.replace('server/src', 'floors').replace('web/src', 'floors of web')}: ${room} reaches down only`,
          severity: 'error',
          from: { path: below(place, room) },
          to: { path: anyOf(place, forbidden) },
        },
      ]
    }),
  )
})

// Nouns that are not named like their room.
const moreNouns =
  'principal|user|account-link|step-up|provider|claims|api-key-terms|redemption|digest|signature|order|event|kinds|record|delivery'

module.exports = {
  forbidden: [
    ...reachesDownOnly,
    {
      name: 'no-circles',
      comment: 'A circle means two files are one. Type-only circles count.',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'rules-are-pure',
      comment: 'A noun file (teams/team.ts) holds rules: no database, no web server, no log.',
      severity: 'error',
      from: {
        pathNot: `${src}/platform/`,
        path: [`${src}/.*/([a-z-]+)s?/\\1\\.ts$`, `${src}/.*/(${moreNouns})\\.ts$`],
      },
      to: {
        path: `(${src}/platform/(database/|log\\.ts|loop\\.ts)|store\\.ts$|service\\.ts$|^node_modules/(pg|fastify|kysely))`,
      },
    },
    {
      name: 'schemas-are-shapes',
      comment: 'They take their lists from the noun, so that nothing is listed twice, and know nothing that acts.',
      severity: 'error',
      from: { path: `${src}/.*schemas\\.ts$` },
      to: { path: `${src}/.*(store|service|routes|worker|module)\\.ts$` },
    },
    {
      name: 'only-the-store-knows-sql',
      severity: 'error',
      from: { path: `${src}/`, pathNot: `${src}/(platform/|.*/(store|columns)\\.ts$)` },
      to: { path: '^node_modules/(kysely|pg)/' },
    },
    {
      name: 'the-web-server-knows-no-product',
      comment: 'It stands on platform and its own settings, not on what stands beside them.',
      severity: 'error',
      from: { path: `${src}/http/` },
      to: { path: `${src}/(outbound|facts)/` },
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
      name: 'no-web-in-other-workspaces',
      comment: 'The service serves its files and knows nothing in them.',
      severity: 'error',
      from: { path: '^(server|bench|sdk|cli)/src/' },
      to: { path: '^web/' },
    },
    {
      name: 'source-needs-no-test',
      severity: 'error',
      from: { path: '^(server|bench|cli|web)/src' },
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
      from: { orphan: true, pathNot: '(main\\.tsx?|offline/service-worker\\.ts|\\.test\\.ts|\\.d\\.ts|scripts/.*)$' },
      to: {},
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    // Each has dependencies of its own, and generated code that is not committed.
    exclude: { path: '^e2e/clients/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
    },
  },
}
