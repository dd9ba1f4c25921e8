/** A named volume: a folder that outlives containers. */
export interface VolumeRecord {
  readonly name: string
  /** Milliseconds since 1970. */
  readonly created: number
  readonly labels: Readonly<Record<string, string>>
  /** Made for one container and removed with it. */
  readonly anonymous: boolean
}

/** A record and the folder that holds its files. */
export interface Volume extends VolumeRecord {
  readonly folder: string
}
