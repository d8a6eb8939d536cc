import { test } from 'node:test'
import { findRandomTamperings } from '../cli/test/random-tamperings.ts'
import { share } from './share.ts'

const count = Math.ceil(10_000 * Math.min(1, share))

test(`${count} random tamperings: every one is found`, () => findRandomTamperings(20_260_131, count))
