import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { eventually } from '../server/test/eventually.ts'
import { freePort } from '../server/test/receivers.ts'
import {
  externalDatabase,
  isRunning,
  passedOn,
  postmasterOf,
  program,
  request,
  startService,
  untilReady,
} from '../server/test/service-process.ts'

const root = join(import.meta.dirname, '..')
const folder = await mkdtemp(join(tmpdir(), 'hitl stop '))
const leftovers = new Set<number>()
const groups = new Set<ChildProcess>()
after(async () => {
  // What a failed test left running.
  for (const pid of leftovers) if (await isRunning(pid)) process.kill(pid, 'SIGTERM')
  await Promise.all([...leftovers].map((pid) => eventually('it has ended', async () => !(await isRunning(pid)))))
  for (const { exitCode, signalCode, pid = 0 } of groups)
    if (exitCode === null && signalCode === null) process.kill(-pid, 'SIGKILL')
  await rm(folder, { recursive: true, force: true })
})

interface Started {
  readonly child: ChildProcess
  readonly output: string
}

/** Any command, in a process group of its own as a shell gives it. */
function start(command: string, args: readonly string[], environment: Readonly<Record<string, string>>): Started {
  const child = spawn(command, args, {
    cwd: root,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...passedOn, NODE_ENV: 'test', LOG_LEVEL: 'info', ...environment },
  })
  groups.add(child)
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
  return {
    child,
    get output() {
      return output
    },
  }
}

/** The pid in the service's own log. */
async function untilListening(started: Started): Promise<number> {
  const pid = await eventually('it says that it listens', () => {
    assert.equal(started.child.exitCode, null, started.output)
    const logged = /"pid":(\d+)/.exec(started.output)
    return started.output.includes('is listening.') && logged !== null && Number(logged[1])
  })
  leftovers.add(pid)
  return pid
}

async function parentOf(pid: number): Promise<number> {
  return Number(/^PPid:\s+(\d+)$/m.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1])
}

describe('npm start', () => {
  const dataDir = join(folder, 'data')
  const npmStart = async (script: readonly string[] = ['start']) => {
    const started = start('npm', script, { DATA_DIR: dataDir, PORT: String(await freePort()) })
    const pid = await untilListening(started)
    return {
      started,
      pid,
      npm: started.child.pid ?? 0,
      shell: await parentOf(pid),
      postgres: await postmasterOf(dataDir),
    }
  }
  const ends = async ({ pid, postgres, started }: Awaited<ReturnType<typeof npmStart>>) => {
    assert.ok(postgres > 0)
    await eventually('the service has ended', async () => !(await isRunning(pid)))
    assert.ok(!(await isRunning(postgres)), 'PostgreSQL has ended with it')
    await eventually('it has logged the stop', () => started.output.includes('stopping: no new calls'))
    assert.doesNotMatch(started.output, /"level":"(warn|error|fatal)"/)
  }

  test('SIGTERM to npm, as `npm start & kill $!` does: the service and its PostgreSQL end', async () => {
    const running = await npmStart()
    process.kill(running.npm, 'SIGTERM')
    await ends(running)
  })

  test('kill -9 of npm: they end', async () => {
    const running = await npmStart()
    process.kill(running.npm, 'SIGKILL')
    await ends(running)
  })

  test('kill -9 of the shell between: they end', async () => {
    const running = await npmStart()
    assert.notEqual(running.shell, running.npm)
    process.kill(running.shell, 'SIGKILL')
    await ends(running)
  })

  test('kill -9 of hitl serve: the service that it started ends', async () => {
    const hitl = start(process.execPath, [join(root, 'cli/bin/hitl.mjs'), 'serve'], {
      DATA_DIR: dataDir,
      PORT: String(await freePort()),
    })
    const pid = await untilListening(hitl)
    assert.notEqual(pid, hitl.child.pid)
    hitl.child.kill('SIGKILL')
    await eventually('the service has ended', async () => !(await isRunning(pid)))
    assert.equal(await postmasterOf(dataDir), 0)
  })

  test('npm run hitl -- serve, SIGTERM to npm: they end', async () => {
    const running = await npmStart(['run', 'hitl', '--', 'serve'])
    process.kill(running.npm, 'SIGTERM')
    await ends(running)
  })

  test('the shell that started npm in the background ends: the service goes on', async () => {
    const port = await freePort()
    const shell = start('sh', ['-c', 'npm start & exec sleep 60'], { DATA_DIR: dataDir, PORT: String(port) })
    const pid = await untilListening(shell)
    process.kill(shell.child.pid ?? 0, 'SIGTERM')
    await once(shell.child, 'exit')
    await seesNoParent(pid)
    assert.equal((await request(`http://127.0.0.1:${port}`, 'GET', '/readyz')).status, 200)
    process.kill(pid, 'SIGTERM')
    await eventually('it has ended', async () => !(await isRunning(pid)))
  })
})

/** Longer than the service takes to look at its parents. */
async function seesNoParent(pid: number): Promise<void> {
  const begun = performance.now()
  await eventually('two seconds have passed', () => performance.now() - begun > 2_000)
  assert.ok(await isRunning(pid))
}

describe('started by anything but npm, the service goes on without its parent', () => {
  for (const [what, ...command] of [
    ['nohup', 'nohup'],
    ['setsid', 'setsid'],
    ['nothing between', 'env'],
  ] as const) {
    test(what, async (context) => {
      const database = await externalDatabase()
      context.after(() => database.drop())
      const port = await freePort()
      // The variables of npm are there, but of another package: a process manager that was started with npm.
      const environment = { npm_lifecycle_event: 'start', npm_package_json: '/srv/manager/package.json' }
      const line = `${command.join(' ')} "$0" "$1" < /dev/null & exec sleep 60`
      const shell = start('sh', ['-c', line, process.execPath, program], {
        ...database.environment,
        ...environment,
        PORT: String(port),
        SECRET_KEY: 'of the tests alone, and of no use anywhere else',
      })
      const pid = await untilListening(shell)
      process.kill(shell.child.pid ?? 0, 'SIGKILL')
      await once(shell.child, 'exit')
      process.kill(pid, 'SIGHUP')
      await seesNoParent(pid)
      assert.equal((await request(`http://127.0.0.1:${port}`, 'GET', '/readyz')).status, 200)
      process.kill(pid, 'SIGTERM')
      await eventually('it has ended', async () => !(await isRunning(pid)))
    })
  }
})

test('the terminal is closed: the service and its PostgreSQL end', async () => {
  const dataDir = join(folder, 'terminal')
  // A terminal of its own, which is hung up when the service listens.
  const inTerminal = `import os, pty, sys
pid, terminal = pty.fork()
if pid == 0: os.execv(sys.argv[1], sys.argv[1:])
seen = b""
while b"is listening." not in seen: seen += os.read(terminal, 65536)
print(pid, flush=True)
os.close(terminal)
os.waitpid(pid, 0)`
  const environment = { DATA_DIR: dataDir, PORT: String(await freePort()), LOG_LEVEL: 'warn' }
  const python = start('python3', ['-c', inTerminal, process.execPath, program], environment)
  const pid = await eventually('it listens', () => Number(/^(\d+)$/m.exec(python.output)?.[1]) || null)
  leftovers.add(pid)
  await eventually('the service has ended', async () => !(await isRunning(pid)))
  assert.equal(await postmasterOf(dataDir), 0)
})

test('SIGTERM with connections that are silent or idle: ends within a second', async (context) => {
  const database = await externalDatabase()
  context.after(() => database.drop())
  const port = await freePort()
  const service = startService({ cwd: folder, environment: { ...database.environment, PORT: String(port) } })
  leftovers.add(service.pid)
  await untilReady(service, `http://127.0.0.1:${port}`)
  const sockets = Array.from({ length: 3 }, () => connect(port, '127.0.0.1').on('error', () => {}))
  const [, half, idle] = sockets
  await Promise.all(sockets.map((socket) => once(socket, 'connect')))
  half?.write('POST /api/v1/requests HTTP/1.1\r\nhost: ')
  idle?.write('GET /livez HTTP/1.1\r\nhost: x\r\n\r\n')
  await once(idle ?? assert.fail(), 'data')
  const begun = performance.now()
  assert.equal(await service.end('SIGTERM'), 0)
  assert.ok(performance.now() - begun < 1_000, `the stop took ${performance.now() - begun} ms`)
})
