// Generated from schemas/app.json by npm run gen. Do not edit.

/**
 * lower-case letters, digits and "-", beginning with a letter
 */
export type Name = string
/**
 * a whole number of 0 or more
 */
export type Count = (number | string)
/**
 * instead of the image's entrypoint
 */
export type Words = (string | number)[]
/**
 * instead of the image's cmd
 */
export type Words1 = (string | number)[]
/**
 * a port number, or {port, target, publish, protocol}
 */
export type Port = (number | string | {
port: PortNumber
/**
 * a port from 1 to 65535
 */
target?: (number | string)
/**
 * a port of the machine, or empty for none
 */
publish?: (number | string | null)
protocol?: ("tcp" | "udp")
})
/**
 * a port from 1 to 65535
 */
export type PortNumber = (number | string)
/**
 * a text, or {secret: NAME} of this App, or {secret: NAME, key: KEY} of any Secret
 */
export type EnvValue = (string | number | boolean | {
secret: string
key?: string
})
export type Words2 = (string | number)[]
/**
 * a duration such as 5s, 1m30s
 */
export type Duration = string
/**
 * a quantity such as 500m, 128Mi, 2
 */
export type Quantity = (string | number)
/**
 * a path that begins with "/"
 */
export type MountPath = string
export type Volume = ({
size?: Quantity
/**
 * outlives the release; true
 */
keep?: boolean
/**
 * storage class of a cluster
 */
class?: string
} | null)

/**
 * A multi-container application that expands, at render time, to standard Kubernetes objects
 */
export interface App {
apiVersion: "berth.dev/v1"
kind: "App"
metadata: {
name: Name
labels?: Texts
annotations?: Texts1
}
spec: {
/**
 * each becomes a workload and a Service, named RELEASE-SERVICE
 */
services: {
[k: string]: Service
}
/**
 * each becomes a Job RELEASE-JOB-HASH that runs again when its definition changes
 */
jobs?: {
[k: string]: Job
}
volumes?: {
[k: string]: Volume
}
secrets?: {
[k: string]: Secret
}
/**
 * files that are mounted into containers
 */
config?: {
[k: string]: ConfigFile
}
}
}
/**
 * labels of every object
 */
export interface Texts {
[k: string]: string
}
/**
 * annotations of every object
 */
export interface Texts1 {
[k: string]: string
}
export interface Service {
image: string
replicas?: Count
command?: Words
args?: Words1
ports?: Port[]
env?: Env
ready?: Probe
live?: Probe1
/**
 * starts when these services are ready
 */
needs?: Name[]
limits?: Limits
/**
 * volume to the path where it is mounted
 */
volumes?: {
[k: string]: MountPath
}
/**
 * a whole number of 0 or more
 */
user?: (number | string)
/**
 * a duration such as 5s, 1m30s
 */
grace?: string
}
export interface Env {
[k: string]: EnvValue
}
/**
 * takes requests while this answers
 */
export interface Probe {
/**
 * a path that begins with "/"
 */
http?: string
tcp?: PortNumber
command?: Words2
/**
 * a port from 1 to 65535
 */
port?: (number | string)
every?: Duration
timeout?: Duration
delay?: Duration
failures?: Count
}
/**
 * is restarted when this no longer answers
 */
export interface Probe1 {
/**
 * a path that begins with "/"
 */
http?: string
tcp?: PortNumber
command?: Words2
/**
 * a port from 1 to 65535
 */
port?: (number | string)
every?: Duration
timeout?: Duration
delay?: Duration
failures?: Count
}
export interface Limits {
cpu?: Quantity
memory?: Quantity
}
export interface Job {
image: string
command?: Words2
args?: Words2
env?: Env
needs?: Name[]
/**
 * lower-case letters, digits and "-", beginning with a letter
 */
before?: string
/**
 * lower-case letters, digits and "-", beginning with a letter
 */
after?: string
limits?: Limits
user?: Count
/**
 * a whole number of 0 or more
 */
retries?: (number | string)
timeout?: Duration
}
export interface Secret {
/**
 * a whole number of 0 or more
 */
generate?: (number | string)
value?: string
}
export interface ConfigFile {
mount: MountPath
in?: Name[]
text?: string
/**
 * a file of the chart, such as files/site.conf
 */
file?: string
}

export const appSchema = {
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "$id": "https://berth.dev/schemas/app.json",
  "title": "App",
  "description": "A multi-container application that expands, at render time, to standard Kubernetes objects",
  "type": "object",
  "additionalProperties": false,
  "required": [
    "apiVersion",
    "kind",
    "metadata",
    "spec"
  ],
  "properties": {
    "apiVersion": {
      "const": "berth.dev/v1"
    },
    "kind": {
      "const": "App"
    },
    "metadata": {
      "type": "object",
      "additionalProperties": false,
      "required": [
        "name"
      ],
      "properties": {
        "name": {
          "$ref": "#/$defs/name"
        },
        "labels": {
          "$ref": "#/$defs/texts",
          "description": "labels of every object"
        },
        "annotations": {
          "$ref": "#/$defs/texts",
          "description": "annotations of every object"
        }
      }
    },
    "spec": {
      "type": "object",
      "additionalProperties": false,
      "required": [
        "services"
      ],
      "properties": {
        "services": {
          "description": "each becomes a workload and a Service, named RELEASE-SERVICE",
          "type": "object",
          "minProperties": 1,
          "propertyNames": {
            "$ref": "#/$defs/name"
          },
          "additionalProperties": {
            "$ref": "#/$defs/service"
          }
        },
        "jobs": {
          "description": "each becomes a Job RELEASE-JOB-HASH that runs again when its definition changes",
          "type": "object",
          "propertyNames": {
            "$ref": "#/$defs/name"
          },
          "additionalProperties": {
            "$ref": "#/$defs/job"
          }
        },
        "volumes": {
          "type": "object",
          "propertyNames": {
            "$ref": "#/$defs/name"
          },
          "additionalProperties": {
            "$ref": "#/$defs/volume"
          }
        },
        "secrets": {
          "type": "object",
          "propertyNames": {
            "$ref": "#/$defs/name"
          },
          "additionalProperties": {
            "$ref": "#/$defs/secret"
          }
        },
        "config": {
          "description": "files that are mounted into containers",
          "type": "object",
          "propertyNames": {
            "type": "string",
            "pattern": "^[-._a-zA-Z0-9]+$"
          },
          "additionalProperties": {
            "$ref": "#/$defs/configFile"
          }
        }
      }
    }
  },
  "$defs": {
    "name": {
      "type": "string",
      "description": "lower-case letters, digits and \"-\", beginning with a letter",
      "pattern": "^[a-z]([-a-z0-9]{0,40}[a-z0-9])?$"
    },
    "texts": {
      "type": "object",
      "additionalProperties": {
        "type": "string"
      }
    },
    "count": {
      "description": "a whole number of 0 or more",
      "type": [
        "integer",
        "string"
      ],
      "minimum": 0,
      "pattern": "^[0-9]{1,9}$"
    },
    "portNumber": {
      "description": "a port from 1 to 65535",
      "type": [
        "integer",
        "string"
      ],
      "minimum": 1,
      "maximum": 65535,
      "pattern": "^([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])$"
    },
    "duration": {
      "type": "string",
      "description": "a duration such as 5s, 1m30s",
      "pattern": "^([0-9]+h)?([0-9]+m)?([0-9]+s)?$",
      "minLength": 2
    },
    "quantity": {
      "type": [
        "string",
        "number"
      ],
      "description": "a quantity such as 500m, 128Mi, 2",
      "pattern": "^[0-9]+(\\.[0-9]+)?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$"
    },
    "words": {
      "type": "array",
      "items": {
        "type": [
          "string",
          "number"
        ]
      }
    },
    "service": {
      "type": "object",
      "additionalProperties": false,
      "required": [
        "image"
      ],
      "properties": {
        "image": {
          "type": "string",
          "minLength": 1
        },
        "replicas": {
          "$ref": "#/$defs/count"
        },
        "command": {
          "$ref": "#/$defs/words",
          "description": "instead of the image's entrypoint"
        },
        "args": {
          "$ref": "#/$defs/words",
          "description": "instead of the image's cmd"
        },
        "ports": {
          "type": "array",
          "items": {
            "$ref": "#/$defs/port"
          }
        },
        "env": {
          "$ref": "#/$defs/env"
        },
        "ready": {
          "$ref": "#/$defs/probe",
          "description": "takes requests while this answers"
        },
        "live": {
          "$ref": "#/$defs/probe",
          "description": "is restarted when this no longer answers"
        },
        "needs": {
          "description": "starts when these services are ready",
          "type": "array",
          "uniqueItems": true,
          "items": {
            "$ref": "#/$defs/name"
          }
        },
        "limits": {
          "$ref": "#/$defs/limits"
        },
        "volumes": {
          "description": "volume to the path where it is mounted",
          "type": "object",
          "additionalProperties": {
            "$ref": "#/$defs/mountPath"
          }
        },
        "user": {
          "$ref": "#/$defs/count",
          "description": "numeric user that the process runs as"
        },
        "grace": {
          "$ref": "#/$defs/duration",
          "description": "time to end after SIGTERM; 30s"
        }
      }
    },
    "job": {
      "type": "object",
      "additionalProperties": false,
      "required": [
        "image"
      ],
      "properties": {
        "image": {
          "type": "string",
          "minLength": 1
        },
        "command": {
          "$ref": "#/$defs/words"
        },
        "args": {
          "$ref": "#/$defs/words"
        },
        "env": {
          "$ref": "#/$defs/env"
        },
        "needs": {
          "type": "array",
          "uniqueItems": true,
          "items": {
            "$ref": "#/$defs/name"
          }
        },
        "before": {
          "$ref": "#/$defs/name",
          "description": "the service that starts when the job is done"
        },
        "after": {
          "$ref": "#/$defs/name",
          "description": "the service that is ready before the job runs"
        },
        "limits": {
          "$ref": "#/$defs/limits"
        },
        "user": {
          "$ref": "#/$defs/count"
        },
        "retries": {
          "$ref": "#/$defs/count",
          "description": "how often it is tried again; 6"
        },
        "timeout": {
          "$ref": "#/$defs/duration"
        }
      }
    },
    "port": {
      "description": "a port number, or {port, target, publish, protocol}",
      "type": [
        "integer",
        "string",
        "object"
      ],
      "minimum": 1,
      "maximum": 65535,
      "pattern": "^[1-9][0-9]{0,4}$",
      "additionalProperties": false,
      "required": [
        "port"
      ],
      "properties": {
        "port": {
          "$ref": "#/$defs/portNumber"
        },
        "target": {
          "$ref": "#/$defs/portNumber",
          "description": "the container's port; port when not given"
        },
        "publish": {
          "description": "a port of the machine, or empty for none",
          "type": [
            "integer",
            "string",
            "null"
          ],
          "minimum": 1,
          "maximum": 65535,
          "pattern": "^([1-9][0-9]{0,4})?$"
        },
        "protocol": {
          "enum": [
            "tcp",
            "udp"
          ]
        }
      }
    },
    "env": {
      "type": "object",
      "propertyNames": {
        "type": "string",
        "pattern": "^[A-Za-z_][A-Za-z0-9_]*$"
      },
      "additionalProperties": {
        "$ref": "#/$defs/envValue"
      }
    },
    "envValue": {
      "description": "a text, or {secret: NAME} of this App, or {secret: NAME, key: KEY} of any Secret",
      "type": [
        "string",
        "number",
        "boolean",
        "object"
      ],
      "additionalProperties": false,
      "required": [
        "secret"
      ],
      "properties": {
        "secret": {
          "type": "string",
          "minLength": 1
        },
        "key": {
          "type": "string",
          "minLength": 1
        }
      }
    },
    "probe": {
      "type": "object",
      "additionalProperties": false,
      "properties": {
        "http": {
          "type": "string",
          "description": "a path that begins with \"/\"",
          "pattern": "^/"
        },
        "tcp": {
          "$ref": "#/$defs/portNumber"
        },
        "command": {
          "$ref": "#/$defs/words"
        },
        "port": {
          "$ref": "#/$defs/portNumber",
          "description": "of http; the first port when not given"
        },
        "every": {
          "$ref": "#/$defs/duration"
        },
        "timeout": {
          "$ref": "#/$defs/duration"
        },
        "delay": {
          "$ref": "#/$defs/duration"
        },
        "failures": {
          "$ref": "#/$defs/count"
        }
      }
    },
    "limits": {
      "type": "object",
      "additionalProperties": false,
      "properties": {
        "cpu": {
          "$ref": "#/$defs/quantity"
        },
        "memory": {
          "$ref": "#/$defs/quantity"
        }
      }
    },
    "mountPath": {
      "type": "string",
      "description": "a path that begins with \"/\"",
      "pattern": "^/[^:]*$"
    },
    "volume": {
      "type": [
        "object",
        "null"
      ],
      "additionalProperties": false,
      "properties": {
        "size": {
          "$ref": "#/$defs/quantity"
        },
        "keep": {
          "type": "boolean",
          "description": "outlives the release; true"
        },
        "class": {
          "type": "string",
          "description": "storage class of a cluster"
        }
      }
    },
    "secret": {
      "type": "object",
      "additionalProperties": false,
      "properties": {
        "generate": {
          "$ref": "#/$defs/count",
          "description": "letters and digits to draw, once, kept over upgrades"
        },
        "value": {
          "type": "string",
          "minLength": 1
        }
      }
    },
    "configFile": {
      "type": "object",
      "additionalProperties": false,
      "required": [
        "mount"
      ],
      "properties": {
        "mount": {
          "$ref": "#/$defs/mountPath"
        },
        "in": {
          "type": "array",
          "uniqueItems": true,
          "items": {
            "$ref": "#/$defs/name"
          }
        },
        "text": {
          "type": "string"
        },
        "file": {
          "type": "string",
          "description": "a file of the chart, such as files/site.conf"
        }
      }
    }
  }
} as const
