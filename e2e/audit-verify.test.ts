import { test } from 'node:test'
import { findRandomTamperings } from '../cli/test/random-tamperings.ts'

test('10 000 random tamperings: every one is found', () => findRandomTamperings(20_260_131, 10_000))
