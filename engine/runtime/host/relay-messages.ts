import { failure } from './errno.ts'

const typeError = 2
const typeDone = 3
const flagDumpInterrupted = 0x10
const flagCapped = 0x100
const flagTexts = 0x200
const attributeText = 1

/**
 * The netlink messages of an answer, without ACK and DONE. Throws for the first that is an error.
 *
 *   u32 length | u16 type | u16 flags | u32 sequence | u32 port | payload, each message padded to 4 bytes
 *   of an error, the payload is i32 -errno | header of the request | with NLM_F_ACK_TLVS attributes that explain
 */
export function messagesOf(
  answer: Uint8Array,
  action: string,
): { messages: Uint8Array[]; interrupted: boolean } {
  const view = new DataView(answer.buffer, answer.byteOffset, answer.byteLength)
  const messages: Uint8Array[] = []
  let interrupted = false
  for (let at = 0; at + 16 <= answer.length; ) {
    const length = view.getUint32(at, true)
    if (length < 16 || at + length > answer.length) break
    const type = view.getUint16(at + 4, true)
    const flags = view.getUint16(at + 6, true)
    if (flags & flagDumpInterrupted) interrupted = true
    if ((type === typeError || type === typeDone) && length >= 20) {
      const errno = -view.getInt32(at + 16, true)
      if (errno !== 0) {
        const text = flags & flagTexts ? errorText(answer.subarray(at, at + length), flags) : undefined
        throw failure(action, { errno, call: 'netlink', ...(text ? { text } : {}) })
      }
    } else if (type !== typeDone && type !== typeError) {
      messages.push(answer.subarray(at, at + length))
    }
    at += (length + 3) & ~3
  }
  return { messages, interrupted }
}

function errorText(message: Uint8Array, flags: number): string | undefined {
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength)
  const requestLength = flags & flagCapped || message.length < 36 ? 16 : view.getUint32(20, true)
  for (let at = 20 + ((requestLength + 3) & ~3); at + 4 <= message.length; ) {
    const length = view.getUint16(at, true)
    if (length < 4 || at + length > message.length) return undefined
    if (view.getUint16(at + 2, true) === attributeText) {
      return new TextDecoder().decode(message.subarray(at + 4, at + length)).replace(/\0.*$/s, '')
    }
    at += (length + 3) & ~3
  }
  return undefined
}
