/** What commands use of yaml, to be imported late. A file of its own: in pieces, the bundler loses a CommonJS package's names. */
export { parse, stringify } from 'yaml'
