import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Job, Reply, Result, Setup } from './plan.ts'

export interface LoadProcess {
  prepare(setup: Setup): Promise<void>
  perform(job: Job): Promise<Result>
  stop(): Promise<void>
}

/** How the main process starts load.ts and talks to it. */
export function startLoadProcess(): LoadProcess {
  const child = fork(fileURLToPath(new URL('load.ts', import.meta.url)))
  const ended = once(child, 'exit')
  return {
    prepare: async (setup) => void (await ask(child, setup)),
    perform: async (job) => {
      const reply = await ask(child, job)
      if (!('result' in reply)) throw new Error('the load process sent no result')
      return reply.result
    },
    stop: async () => {
      child.kill('SIGTERM')
      await ended
    },
  }
}

function ask(child: ChildProcess, message: Setup | Job): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const onExit = (): void => reject(new Error('the load process ended early'))
    child.once('exit', onExit)
    child.once('message', (reply: Reply) => {
      child.off('exit', onExit)
      if ('failure' in reply) reject(new Error(reply.failure))
      else resolve(reply)
    })
    child.send(message)
  })
}
