import { expect, it } from 'vitest'
import { commandText } from './container-view.ts'

it.each([
  [['sh', '-c', 'echo a b'], "sh -c 'echo a b'"],
  [['/my program', 'x'], '/my program x'],
  [[], ''],
])('shows the command %j as %s', (command, text) => {
  expect(commandText(command)).toBe(text)
})
