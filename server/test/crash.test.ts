import { test } from 'node:test'
import { crashEmbedded, crashTwoProcesses } from './crash.ts'

// One round of each kind; many more are in e2e/crash.test.ts.

test('kill -9 under load on the embedded database: nothing that was acknowledged is lost, every callback arrives', (context) =>
  crashEmbedded(context, ['service', 'service and postgres', 'postgres']))

test('kill -9 under load of a service with two processes on an external database: nothing is lost either', (context) =>
  crashTwoProcesses(context, 1))
