import { hostname } from 'node:os'

/** PostgreSQL cuts names to this many bytes, and shows anything but ASCII as question marks. */
const maxBytes = 63

/** `application_name` of this process's sessions: in pg_stat_activity an administrator sees what each is, and where it runs. */
export function sessionName(role: string): string {
  const [start, end] = [`hitl ${role} `, `:${process.pid}`]
  return start + hostname().slice(0, maxBytes - start.length - end.length) + end
}
