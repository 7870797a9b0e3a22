// A helper process of the benchmark: forked, ready with its first message, asked one question at a time, gone with its parent.
import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'

export class Child {
  readonly #process: ChildProcess
  readonly #file: string

  private constructor(process: ChildProcess, file: string) {
    this.#process = process
    this.#file = file
  }

  /** Starts a TypeScript file beside this one and waits for its first message, which is returned as `hello`. */
  static async start(file: string): Promise<{ child: Child; hello: unknown }> {
    const process = fork(new URL(file, import.meta.url), { serialization: 'advanced' })
    const child = new Child(process, file)
    return { child, hello: await child.#next<unknown>(10_000) }
  }

  get pid(): number {
    return this.#process.pid ?? 0
  }

  /** Sends a message and waits for the one answer to it; an answer `{failed}` and an exit are errors. */
  async ask<Reply>(message: object, deadlineMs: number): Promise<Reply> {
    const reply = this.#next<Reply & { readonly failed?: string }>(deadlineMs)
    this.#process.send(message)
    const answer = await reply
    if (answer.failed !== undefined) throw new Error(`${this.#file}: ${answer.failed}`)
    return answer
  }

  async stop(): Promise<void> {
    if (this.#process.exitCode !== null) return
    const gone = once(this.#process, 'exit')
    this.#process.kill()
    await gone
  }

  #next<Message>(deadlineMs: number): Promise<Message> {
    const { promise, resolve, reject } = Promise.withResolvers<Message>()
    const timer = setTimeout(() => reject(new Error(`${this.#file} said nothing for ${deadlineMs} ms`)), deadlineMs)
    const message = (value: unknown): void => resolve(value as Message)
    const exit = (code: number | null): void => reject(new Error(`${this.#file} ended with ${code}`))
    this.#process.once('message', message).once('exit', exit)
    return promise.finally(() => {
      clearTimeout(timer)
      this.#process.off('message', message).off('exit', exit)
    })
  }
}
