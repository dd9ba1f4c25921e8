/**
 * `node inspect.ts EXPRESSION`: evaluates it in the process whose debugger listens on 127.0.0.1:9229 of this network
 * namespace, and prints its value.
 */
import { setTimeout as sleep } from 'node:timers/promises'

const address = 'http://127.0.0.1:9229/json'

/** The debugger opens a moment after the signal that asks for it. */
async function target(): Promise<string> {
  for (let attempt = 0; ; attempt++) {
    try {
      const [first] = (await (await fetch(address)).json()) as { webSocketDebuggerUrl: string }[]
      if (first) return first.webSocketDebuggerUrl
    } catch (error) {
      if (attempt > 50) throw error
    }
    await sleep(100)
  }
}

const socket = new WebSocket(await target())
socket.addEventListener('open', () => {
  const params = { expression: process.argv[2], awaitPromise: true, returnByValue: true }
  socket.send(JSON.stringify({ id: 1, method: 'Runtime.evaluate', params }))
})
socket.addEventListener('message', ({ data }) => {
  const { id, result } = JSON.parse(String(data))
  if (id !== 1) return
  if (result.exceptionDetails) {
    console.error(result.result.description)
    process.exitCode = 1
  } else console.log(result.result.value)
  socket.close()
})
