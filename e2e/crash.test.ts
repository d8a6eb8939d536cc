import { test } from 'node:test'
import { crashEmbedded, crashTwoProcesses, type Victim } from '../server/test/crash.ts'

const cycle: readonly Victim[] = ['service', 'service and postgres', 'postgres', 'service']

test('16 times kill -9 under load on the embedded database: nothing that was acknowledged is lost, every callback arrives', (context) =>
  crashEmbedded(context, [...cycle, ...cycle, ...cycle, ...cycle]))

test('6 times kill -9 under load of a service with two processes on a database elsewhere: nothing is lost either', (context) =>
  crashTwoProcesses(context, 6))
