/** Builds `dist/`: the bundles and the launcher. Run by `npm ci` (prepare) and `npm run build`. */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
} from 'node:fs'
import { basename, join } from 'node:path'
import { type BuildOptions, build, type Plugin } from 'esbuild'

const top = join(import.meta.dirname, '../..')
const dist = join(top, 'dist')
const launcherSources = join(top, 'engine/runtime/launcher')

/** Started as processes or workers of their own, each one file; `berth` starts the command line, which comes in pieces. */
const programs = {
  berth: 'cli/berth.ts',
  daemon: 'engine/daemon/main.ts',
  'store-worker': 'engine/store/worker.ts',
}

/** SHA-256 over names and contents of the launcher's sources: the prebuilt binaries carry it in their name. */
export function launcherDigest(): string {
  const hash = createHash('sha256')
  for (const name of cFiles())
    hash
      .update(`${name}\0`)
      .update(readFileSync(join(launcherSources, name)))
      .update('\0')
  return hash.digest('hex')
}

function cFiles(): string[] {
  return readdirSync(launcherSources)
    .filter((name) => /\.[ch]$/.test(name))
    .sort()
}

function buildLauncher(): void {
  const target = join(dist, 'launcher')
  const temporary = `${target}.${process.pid}`
  const sources = cFiles().filter((name) => name.endsWith('.c'))
  const compiler = process.env.CC ?? 'cc'
  try {
    execFileSync(
      compiler,
      [
        '-std=c11',
        '-O2',
        '-static',
        '-s',
        '-Wall',
        '-Wextra',
        '-Werror',
        '-o',
        temporary,
        ...sources.map((name) => join(launcherSources, name)),
      ],
      { stdio: ['ignore', 'inherit', 'inherit'] },
    )
  } catch (error) {
    rmSync(temporary, { force: true })
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    const prebuilt = join(launcherSources, 'prebuilt', `launcher-${process.arch}`)
    if (!existsSync(prebuilt))
      throw new Error(`No C compiler "${compiler}" and no prebuilt launcher for ${process.arch}`)
    const built = readFileSync(join(launcherSources, 'prebuilt', 'sources.sha256'), 'utf8').trim()
    if (built !== launcherDigest())
      throw new Error('The prebuilt launcher is older than its sources: npm run build:prebuilt')
    copyFileSync(prebuilt, temporary)
    chmodSync(temporary, 0o755)
  }
  renameSync(temporary, target)
}

/**
 * Node's own modules by `getBuiltinModule`. An import reads all that a module exports, and some of that is loaded only
 * when it is read, such as streams by `node:fs`: a quarter of a command's start.
 */
const lazyBuiltins: Plugin = {
  name: 'lazy-builtins',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^node:/ }, ({ path, kind }) =>
      kind === 'import-statement' ? { path, namespace: 'builtin' } : { path, external: true },
    )
    onLoad({ filter: /./, namespace: 'builtin' }, ({ path }) => ({
      contents: `module.exports=process.getBuiltinModule(${JSON.stringify(path)})`,
    }))
  },
}

const common: BuildOptions = {
  absWorkingDir: top,
  outdir: dist,
  bundle: true,
  minify: true,
  keepNames: true,
  platform: 'node',
  target: 'node24',
  legalComments: 'linked',
  logLevel: 'warning',
}

async function bundle(): Promise<void> {
  const { version } = JSON.parse(readFileSync(join(top, 'package.json'), 'utf8'))
  const BERTH_VERSION = JSON.stringify(version)
  await build({
    ...common,
    entryPoints: programs,
    format: 'cjs',
    outExtension: { '.js': '.cjs' },
    define: {
      BERTH_DIST: '__dirname',
      BERTH_VERSION,
      'import.meta.url': '__filename',
      'import.meta.dirname': '__dirname',
    },
  })
  // The command line in pieces: a command reads only what it needs. CommonJS cannot be split.
  const { metafile } = await build({
    ...common,
    entryPoints: { main: 'cli/main.ts' },
    format: 'esm',
    splitting: true,
    chunkNames: 'cli-[hash]',
    outExtension: { '.js': '.mjs' },
    metafile: true,
    // Bundled CommonJS packages ask for Node's modules with require.
    banner: { js: "const require=process.getBuiltinModule('module').createRequire(import.meta.url);" },
    plugins: [lazyBuiltins],
    define: { BERTH_DIST: 'import.meta.dirname', BERTH_VERSION },
  })
  const made = new Set(Object.keys(metafile.outputs).map((file) => basename(file)))
  for (const name of readdirSync(dist)) {
    if (/\.mjs/.test(name) && !made.has(name)) rmSync(join(dist, name))
  }
}

if (process.argv[1] === import.meta.filename) {
  mkdirSync(dist, { recursive: true })
  buildLauncher()
  await bundle()
}
