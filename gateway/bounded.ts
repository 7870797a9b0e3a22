// Text from a byte stream whose length nobody promised.

/** The whole text, or undefined, with the stream cancelled, once it has more than `limit` bytes. */
export async function readBounded(body: ReadableStream<Uint8Array>, limit: number): Promise<string | undefined> {
  const reader = body.getReader()
  const decoder = new TextDecoder()
  const parts: string[] = []
  let size = 0
  for (;;) {
    const chunk = await reader.read()
    if (chunk.done) return parts.join('') + decoder.decode()
    size += chunk.value.length
    if (size > limit) {
      await reader.cancel()
      return undefined
    }
    parts.push(decoder.decode(chunk.value, { stream: true }))
  }
}
