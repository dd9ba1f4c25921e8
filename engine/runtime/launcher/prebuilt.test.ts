import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { launcherDigest } from '../../../test/tools/build.ts'

const folder = join(import.meta.dirname, 'prebuilt')
const PT_INTERP = 3

/** Types of the program headers of a 64-bit little endian ELF file. */
function segmentsOf(elf: Buffer): number[] {
  const [offset, size, count] = [Number(elf.readBigUInt64LE(32)), elf.readUInt16LE(54), elf.readUInt16LE(56)]
  return Array.from({ length: count }, (_, i) => elf.readUInt32LE(offset + i * size))
}

describe('the prebuilt launchers', () => {
  it('are of these sources: after a change, npm run build:prebuilt', () => {
    expect(readFileSync(join(folder, 'sources.sha256'), 'utf8').trim()).toBe(launcherDigest())
  })

  it.each([
    ['x64', 62],
    ['arm64', 183],
  ])('for %s is a small static program', (arch, machine) => {
    const elf = readFileSync(join(folder, `launcher-${arch}`))
    expect(elf.toString('latin1', 0, 4)).toBe('\x7fELF')
    expect(elf.readUInt16LE(18)).toBe(machine)
    expect(segmentsOf(elf)).not.toContain(PT_INTERP)
    expect(elf.length).toBeLessThan(200_000)
  })
})
