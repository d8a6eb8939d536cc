import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { closest, distance } from '../src/suggest.ts'

describe('typing slips between two words', () => {
  for (const [from, to, steps] of [
    ['serve', 'serve', 0],
    ['srve', 'serve', 1],
    ['serrve', 'serve', 1],
    ['serbe', 'serve', 1],
    ['sevre', 'serve', 1],
    ['', 'seed', 4],
    ['seed', '', 4],
    ['kitten', 'sitting', 3],
  ] as const) {
    test(`${from || '(nothing)'} -> ${to || '(nothing)'}: ${steps}`, () => assert.equal(distance(from, to), steps))
  }
})

describe('the word that was meant', () => {
  const known = ['serve', 'migrate', 'seed', 'config check', 'admin create', 'audit verify']
  for (const [typed, meant] of [
    ['sevre', 'serve'],
    ['mig', 'migrate'],
    ['MIGRATE', 'migrate'],
    ['confg chekc', 'config check'],
    ['sede', 'seed'],
    ['se', null],
    ['s', null],
    ['completely-else', null],
    ['', null],
  ] as const) {
    test(`${typed || '(nothing)'}: ${meant ?? 'none'}`, () => assert.equal(closest(typed, known), meant))
  }
})
