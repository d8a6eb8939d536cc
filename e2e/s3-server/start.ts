import assert from 'node:assert/strict'
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'

/**
 * A real S3 server: s3proxy, which checks signatures and digests, on a folder. It comes from Maven, which other tests here need as
 * well: 14 s of work the first time, where building a server written in Go took two minutes.
 */
export interface S3Server {
  readonly url: string
  /** Holds its buckets, and in them its objects, as files. */
  readonly folder: string
  readonly accessKey: string
  readonly secretKey: string
  start(): Promise<void>
  stop(): Promise<void>
}

const own = import.meta.dirname

async function classPath(place: string): Promise<string> {
  const file = join(place, 'classpath')
  const args = ['-q', '-B', '-f', join(own, 'pom.xml'), 'dependency:build-classpath', `-Dmdep.outputFile=${file}`]
  await promisify(execFile)('mvn', args).catch((error: NodeJS.ErrnoException) => {
    const missing =
      'This test needs Maven and a JDK of 17 or later on this machine. Install them, then run the test again.'
    throw error.code === 'ENOENT' ? new Error(missing) : error
  })
  return (await readFile(file, 'utf8')).trim()
}

/** `place`: a folder of the caller's, with the port that it is to have. */
export async function createS3Server(place: string, port: number, bucket: string): Promise<S3Server> {
  const folder = join(place, 'buckets')
  await mkdir(join(folder, bucket), { recursive: true })
  const [accessKey, secretKey, url] = ['hitl-test', 'a secret of the test', `http://127.0.0.1:${port}`]
  const properties = join(place, 's3.properties')
  await writeFile(
    properties,
    `s3proxy.endpoint=${url}
s3proxy.authorization=aws-v2-or-v4
s3proxy.identity=${accessKey}
s3proxy.credential=${secretKey}
s3proxy.v4-max-non-chunked-request-size=67108864
jclouds.provider=filesystem
jclouds.filesystem.basedir=${folder}
`,
  )
  const classes = await classPath(place)
  let child: ChildProcess | null = null
  const answers = async (): Promise<boolean> => {
    const socket = connect(port, '127.0.0.1')
    const outcome = await Promise.race([
      once(socket, 'connect').then(() => true),
      once(socket, 'close').then(() => false),
    ]).catch(() => false)
    socket.destroy()
    return outcome
  }
  return {
    url,
    folder: join(folder, bucket),
    accessKey,
    secretKey,
    start: async () => {
      const flags = ['-XX:TieredStopAtLevel=1', '-Xmx256m', `-Dlogback.configurationFile=${join(own, 'logback.xml')}`]
      const args = [...flags, '-cp', classes, 'org.gaul.s3proxy.Main', '--properties', properties]
      const started = spawn('java', args, { stdio: ['ignore', 'pipe', 'pipe'] })
      child = started
      let output = ''
      for (const stream of [started.stdout, started.stderr]) stream.on('data', (text) => (output += text))
      const until = Date.now() + 120_000
      while (!(await answers())) {
        assert.equal(started.exitCode, null, `the S3 server ended: ${output.slice(-2_000)}`)
        assert.ok(Date.now() < until, `the S3 server does not start: ${output.slice(-2_000)}`)
        await delay(100)
      }
    },
    stop: async () => {
      if (child === null || child.exitCode !== null || child.signalCode !== null) return
      child.kill('SIGKILL')
      await once(child, 'close')
    },
  }
}
