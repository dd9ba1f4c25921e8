import { expect, it } from 'vitest'
import type { ContainerRecord } from '../../container/container.ts'
import { answerOfError } from './errors.ts'
import { refuseOfPod } from './pods.ts'

const labels = { 'io.kubernetes.pod.name': 'web-0', 'io.kubernetes.pod.namespace': 'shop' }
const record = (settings: object) => ({ settings: { name: 'k8s_web', ...settings } }) as ContainerRecord

it("refuses a pod's container with 409 and the pod's name", () => {
  let thrown: unknown
  try {
    refuseOfPod(record({ labels, sandbox: 's1' }))
  } catch (error) {
    thrown = error
  }
  expect(answerOfError(thrown)).toMatchObject({
    status: 409,
    body: { message: 'Cannot remove container "k8s_web": it belongs to pod shop/web-0' },
  })
})

it('leaves containers alone that only have the labels', () => {
  refuseOfPod(record({ labels }))
  refuseOfPod(record({}))
})
