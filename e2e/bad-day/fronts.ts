// What stands before and behind the service: the pooler of its database connections, and the proxy with TLS.
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { eventually } from '../../server/test/eventually.ts'
import { freePort } from '../../server/test/receivers.ts'

export interface Front {
  readonly port: number
  start(): Promise<void>
  stop(): Promise<void>
}

const takesConnections = async (port: number): Promise<boolean> => {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}

function front(port: number, program: string, args: readonly string[]): Front {
  let child: ChildProcess | null = null
  return {
    port,
    start: async () => {
      child = spawn(program, args, { stdio: 'ignore' })
      await once(child, 'spawn')
      await eventually(`${program} takes connections`, () => takesConnections(port))
    },
    stop: async () => {
      if (child === null || child.exitCode !== null || child.signalCode !== null) return
      const gone = once(child, 'exit')
      // PgBouncer ends at once for SIGTERM or SIGQUIT, whichever of the two its version waits with; nginx for SIGTERM.
      child.kill('SIGTERM')
      await gone
    },
  }
}

export interface Pooled {
  readonly port: number
  readonly user: string
  readonly password: string
  readonly database: string
}

/** PgBouncer in transaction mode, with a folder of its own and at most so many connections to the database. */
export async function createPooler(folder: string, pooled: Pooled, size: number, more = ''): Promise<Front> {
  const port = await freePort()
  const settings = `[databases]
hitl = host=127.0.0.1 port=${pooled.port} dbname=${pooled.database} user=${pooled.user} password=${pooled.password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = ${size}
logfile = ${join(folder, 'pgbouncer.log')}
${more}`
  await mkdir(folder, { mode: 0o777 })
  const file = join(folder, 'pgbouncer.ini')
  await writeFile(file, settings, { mode: 0o644 })
  await promisify(execFile)('chmod', ['777', folder])
  // PgBouncer refuses to run as root.
  return front(port, 'pgbouncer', [...(process.getuid?.() === 0 ? ['--user', 'nobody'] : []), file])
}

/** nginx with TLS, which serves the processes under a path that it takes away. */
export async function createProxy(
  folder: string,
  path: string,
  ports: readonly number[],
): Promise<Front & { readonly certificate: string; readonly certificateFile: string }> {
  const port = await freePort()
  await mkdir(folder)
  const [key, certificateFile] = [join(folder, 'key.pem'), join(folder, 'certificate.pem')]
  const certified = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1', '-days', '2']
  const made = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-keyout', key, '-out', certificateFile]
  await promisify(execFile)('openssl', ['req', '-x509', '-nodes', ...made, ...certified])
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  const settings = `daemon off;
pid ${folder}/nginx.pid;
error_log ${folder}/error.log warn;
worker_processes 1;
events { worker_connections 256; }
http {
  access_log off;
  ${temporary.map((name) => `${name}_temp_path ${folder}/${name};`).join('\n  ')}
  keepalive_requests 1000000;
  upstream service {
    ${ports.map((each) => `server 127.0.0.1:${each} max_fails=0;`).join('\n    ')}
  }
  server {
    listen 127.0.0.1:${port} ssl;
    ssl_certificate ${certificateFile};
    ssl_certificate_key ${key};
    location ${path}/ {
      proxy_pass http://service/;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme;
    }
  }
}
`
  const file = join(folder, 'nginx.conf')
  await writeFile(file, settings)
  const proxy = front(port, 'nginx', ['-c', file, '-e', join(folder, 'error.log')])
  return { ...proxy, certificateFile, certificate: await readFile(certificateFile, 'utf8') }
}
