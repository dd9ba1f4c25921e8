/** What berth uses of undici, to be imported late. A file of its own: in pieces, the bundler loses a CommonJS package's names. */
export { EnvHttpProxyAgent, request } from 'undici'
