import { type NamedEndpoint, type NamedService, NameTable } from '../../names.ts'
import { serveDns } from '../dns.ts'

/** Serves DNS in the namespace that it is started in, as its argument (JSON) says, until it is killed. */
const settings: { endpoints: NamedEndpoint[]; services: NamedService[]; upstream: string; address: string } =
  JSON.parse(process.argv[2] ?? '')
const names = new NameTable('cluster.local')
for (const endpoint of settings.endpoints) names.setEndpoint(endpoint)
names.setServices(settings.services)
const listen = { address: settings.address, port: 53 }
await serveDns({
  udp: listen,
  tcp: listen,
  names,
  local: ['10.210.0.0/16', '10.211.0.0/16'],
  upstream: () => [
    { address: '192.0.2.99', port: 53 },
    { address: settings.upstream, port: 53 },
  ],
  log: (level, message, fields) => process.stderr.write(`${level} ${message} ${JSON.stringify(fields)}\n`),
})
process.stdout.write('ready\n')
