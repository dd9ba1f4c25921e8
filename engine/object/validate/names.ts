/** Checks of a text's form. Each returns Kubernetes' messages, none when the text is well formed. */
export type FormCheck = (value: string) => readonly string[]

const longest = (max: number) => `must be no more than ${max} bytes`
const example = (message: string, pattern: string, ...examples: string[]) => {
  const list = examples.map((text) => `'${text}'`).join(',  or ')
  return `${message} (e.g. ${list}, regex used for validation is '${pattern}')`
}

const labelPattern = '[a-z0-9]([-a-z0-9]*[a-z0-9])?'
const subdomainPattern = `${labelPattern}(\\.${labelPattern})*`
const qualifiedPattern = '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]'

function check(pattern: string, max: number, message: string): FormCheck {
  const whole = new RegExp(`^(?:${pattern})$`)
  return (value) => [...(value.length > max ? [longest(max)] : []), ...(whole.test(value) ? [] : [message])]
}

/** Names of Services' ports, containers, namespaces. */
export const dnsLabel: FormCheck = check(
  labelPattern,
  63,
  example(
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character",
    labelPattern,
    'my-name',
    '123-abc',
  ),
)

/** Names of most kinds. */
export const dnsSubdomain: FormCheck = check(
  subdomainPattern,
  253,
  example(
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character",
    subdomainPattern,
    'example.com',
  ),
)

/** Names of Services. */
export const dns1035Label: FormCheck = check(
  '[a-z]([-a-z0-9]*[a-z0-9])?',
  63,
  example(
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character",
    '[a-z]([-a-z0-9]*[a-z0-9])?',
    'my-name',
    'abc-123',
  ),
)

export const labelValue: FormCheck = check(
  `(${qualifiedPattern})?`,
  63,
  example(
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
    `(${qualifiedPattern})?`,
    'MyValue',
    'my_value',
    '12345',
  ),
)

const namePart = check(
  qualifiedPattern,
  63,
  example(
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
    qualifiedPattern,
    'MyName',
    'my.name',
    '123-abc',
  ),
)

/** Keys of labels and annotations: an optional DNS prefix and a name. */
export const qualifiedName: FormCheck = (value) => {
  const parts = value.split('/')
  const name = parts.at(-1) ?? ''
  if (parts.length > 2) {
    const message =
      "a valid label key must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
    return [
      `${example(message, qualifiedPattern, 'MyName', 'my.name', '123-abc')} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`,
    ]
  }
  const prefix = parts.length === 2 ? (parts[0] ?? '') : undefined
  const prefixErrors =
    prefix === undefined
      ? []
      : prefix === ''
        ? ['prefix part must be non-empty']
        : dnsSubdomain(prefix).map((m) => `prefix part ${m}`)
  if (name === '') return [...prefixErrors, 'name part must be non-empty']
  return [...prefixErrors, ...namePart(name).map((message) => `name part ${message}`)]
}

export const configKey: FormCheck = (value) => [
  ...check(
    '[-._a-zA-Z0-9]+',
    253,
    example(
      "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
      '[-._a-zA-Z0-9]+',
      'key.name',
      'KEY_NAME',
      'key-name',
    ),
  )(value),
  ...(value === '.'
    ? ["must not be '.'"]
    : value === '..'
      ? ["must not be '..'"]
      : value.startsWith('..')
        ? ["must not start with '..'"]
        : []),
]

export const envName: FormCheck = (value) =>
  /^[ -<>-~]+$/.test(value)
    ? []
    : ["a valid environment variable name must consist only of printable ASCII characters other than '='"]

/** Names of container ports, as IANA's service names. */
export const portName: FormCheck = (value) => [
  ...(value.length > 15 ? ['must be no more than 15 characters'] : []),
  ...(/^[-a-z0-9]+$/.test(value)
    ? []
    : ['must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)']),
  ...(/[a-z]/.test(value) ? [] : ['must contain at least one letter (a-z)']),
  ...(value.includes('--') ? ['must not contain consecutive hyphens'] : []),
  ...(/^-|-$/.test(value) ? ['must not begin or end with a hyphen'] : []),
]

/** Why a number is no port, or nothing. */
export function portNumber(value: number): readonly string[] {
  return Number.isInteger(value) && value >= 1 && value <= 65535
    ? []
    : ['must be between 1 and 65535, inclusive']
}

/** Why a value is neither a port's number nor its name, or nothing. */
export function portNumberOrName(value: number | string): readonly string[] {
  return typeof value === 'number' ? portNumber(value) : portName(value)
}

/** 4 or 6 for the text of an IP address, 0 for anything else. */
export function ipFamily(text: string): 0 | 4 | 6 {
  const byte = '(?:0|[1-9]\\d?|1\\d\\d|2[0-4]\\d|25[0-5])'
  if (new RegExp(`^${byte}(?:\\.${byte}){3}$`).test(text)) return 4
  return /^[0-9a-fA-F:.]*:[0-9a-fA-F:.]*$/.test(text) && URL.canParse(`http://[${text}]`) ? 6 : 0
}
