// What the matrix's servers say and ask: the same words whatever they speak, so that one cell can be compared with the next.

/** Milliseconds between two messages of a call. */
export const patience = 60

const size = 20 * 1024 * 1024
const line = 'The bees of one hive never argue about a flower.\n'

/** 20 MiB of text. */
export const bigText = line.repeat(Math.ceil(size / line.length)).slice(0, size)

/** 20 MiB of base64. */
export const blob = Buffer.alloc((size / 4) * 3, 'waggle').toString('base64')

/** Resources, one for each cell that subscribes, so that cells can run side by side. */
export const notes = ['2025-03-26', '2025-06-18', '2025-11-25', '2026-07-28'].flatMap((revision) =>
  ['subscribe', 'other', 'stream'].map((cell) => `note://${revision}/${cell}`),
)

export const form = {
  message: 'What is your name?',
  requestedSchema: { type: 'object' as const, properties: { name: { type: 'string' as const } }, required: ['name'] },
}

export const url = { message: 'Please log in', url: 'https://login.example/start' }

export const question = {
  messages: [{ role: 'user' as const, content: { type: 'text' as const, text: 'What is the capital of France?' } }],
  maxTokens: 50,
}
