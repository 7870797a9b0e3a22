// Settings as the chart hands them to a pod. A variable that is empty, or blank, is not set, and every error names its variable.

const MAX_PORT = 65_535

export type Environment = Readonly<Record<string, string | undefined>>

/** What reads one variable by its name. All but `text` throw an Error that says what the variable must be. */
export interface Reading {
  /** Without blanks around it. */
  readonly text: (name: string) => string | undefined
  readonly required: (name: string) => string
  /** Separated by commas, none of them empty, none twice. */
  readonly list: (name: string) => readonly string[]
  readonly flag: (name: string, fallback: boolean) => boolean
  /** Whole, from 0 to `most`. */
  readonly number: (name: string, fallback: number, most: number) => number
  /** 0: any that is free. */
  readonly port: (name: string, fallback: number) => number
}

export function reading(environment: Environment): Reading {
  const text = (name: string): string | undefined => {
    const value = environment[name]?.trim()
    return value === '' ? undefined : value
  }
  const number: Reading['number'] = (name, fallback, most) => {
    const value = Number(text(name) ?? fallback)
    if (!Number.isInteger(value) || value < 0 || value > most)
      throw new Error(`${name}: must be a whole number up to ${most}`)
    return value
  }
  return {
    text,
    required: (name) => {
      const value = text(name)
      if (value === undefined) throw new Error(`${name}: is required`)
      return value
    },
    list: (name) => {
      const items = (text(name) ?? '').split(',').map((item) => item.trim())
      return [...new Set(items.filter((item) => item !== ''))]
    },
    flag: (name, fallback) => {
      const value = text(name) ?? String(fallback)
      if (value !== 'true' && value !== 'false') throw new Error(`${name}: must be true or false`)
      return value === 'true'
    },
    number,
    port: (name, fallback) => number(name, fallback, MAX_PORT),
  }
}
