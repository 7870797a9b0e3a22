// The incidents of a small company: the domain behind the example server. Pure apart from the clock it is given; no MCP in it.

export const severities = ['low', 'high', 'critical'] as const
export type Severity = (typeof severities)[number]

export interface Incident {
  id: string
  title: string
  service: string
  severity: Severity
  status: 'open' | 'resolved'
  /** ISO 8601. */
  opened: string
  notes: string[]
  /** What ended it, once it is resolved. */
  resolution?: string
}

const openLimit = 200

export class Incidents {
  readonly #all = new Map<string, Incident>()
  readonly #clock: () => number
  #next = 101

  constructor(clock: () => number = Date.now) {
    this.#clock = clock
    this.clear()
  }

  /** Back to the three incidents that every demo starts with. */
  clear(): void {
    this.#all.clear()
    this.#next = 101
    this.open('Checkout answers slowly', 'checkout', 'high').notes.push(
      'p99 went from 300 ms to 4 s after the 09:40 deploy',
    )
    this.open('Search results lack images', 'search', 'low')
    this.open('Login fails for some customers', 'accounts', 'critical')
  }

  list(status: 'open' | 'resolved' | 'all' = 'open'): Incident[] {
    return [...this.#all.values()].filter((incident) => status === 'all' || incident.status === status)
  }

  /** Throws a sentence that says what to do when there is no such incident. */
  get(id: string): Incident {
    const found = this.#all.get(id)
    if (found === undefined) throw new Error(`There is no incident ${id}. list_incidents names those that exist.`)
    return found
  }

  open(title: string, service: string, severity: Severity): Incident {
    if (this.list().length >= openLimit) throw new Error(`${openLimit} incidents are open already. Resolve one first.`)
    const id = `INC-${this.#next++}`
    const opened = new Date(this.#clock()).toISOString()
    const incident: Incident = { id, title, service, severity, status: 'open', opened, notes: [] }
    this.#all.set(id, incident)
    return incident
  }

  note(id: string, text: string): Incident {
    const incident = this.get(id)
    incident.notes = [...incident.notes, text].slice(-50)
    return incident
  }

  resolve(id: string, resolution: string): Incident {
    const incident = this.get(id)
    incident.status = 'resolved'
    incident.resolution = resolution
    return incident
  }

  services(): string[] {
    return [...new Set(this.list('all').map((incident) => incident.service))].toSorted()
  }
}

/** One incident as Markdown. */
export function describe(incident: Incident): string {
  const lines = [
    `## ${incident.id}: ${incident.title}`,
    `${incident.severity}, ${incident.status}, service ${incident.service}, opened ${incident.opened}`,
    ...incident.notes.map((note) => `- ${note}`),
  ]
  if (incident.resolution !== undefined) lines.push(`Resolved: ${incident.resolution}`)
  return lines.join('\n')
}
