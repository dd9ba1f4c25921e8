import { type Contender, compete, lines } from './measure.ts'
import type { Side, World } from './world.ts'

const count = 50
const rounds = 3

/** Fifty containers begun at once, until all of them run. They are removed outside of the time. */
export async function measureMany(world: World): Promise<string[]> {
  const contender = (name: string, side: Side): Contender => {
    let ids: string[] = []
    return {
      name,
      once: async () => {
        ids = await Promise.all(Array.from({ length: count }, () => side.docker.begin(['sleep', '600'])))
      },
      after: async () => {
        await Promise.all(ids.map((id) => side.docker.remove(id)))
      },
    }
  }
  const figures = await compete(
    [contender('berth', await world.berth()), contender('dockerd', await world.dockerd())],
    rounds,
    { warmUp: 0 },
  )
  return [`${count} containers begun at once until all run, networked`, ...lines(figures)]
}
