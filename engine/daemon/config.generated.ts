// Generated from schemas/config.json by npm run gen. Do not edit.

/**
 * The daemon's configuration, /etc/berth/config.json
 */
export interface ConfigFile {
$schema?: string
/**
 * Folder for everything that is kept, /var/lib/berth
 */
root?: string
/**
 * Folder for sockets, /run/berth
 */
run?: string
/**
 * Group whose members may use the sockets, which equals root; berth, when there is one
 */
group?: string
/**
 * By host; docker.io for Docker Hub, * for all
 */
registries?: {
[k: string]: {
/**
 * Asked in order before the registry itself
 */
mirrors?: string[]
/**
 * Plain HTTP, or HTTPS without checking the certificate
 */
insecure?: boolean
/**
 * File with the certificates to trust
 */
ca?: string
}
}
/**
 * The registry inside the daemon; none when absent
 */
registry?: {
/**
 * 127.0.0.1:5000
 */
address: string
}
network?: {
/**
 * 10.210.0.0/16
 */
subnet?: string
/**
 * 10.211.0.0/16
 */
serviceSubnet?: string
/**
 * cluster.local
 */
domain?: string
}
logs?: {
/**
 * Size at which a container's log is rotated, 10Mi
 */
maxSize?: (string | number)
/**
 * 3
 */
maxFiles?: number
}
}

export const configSchema = {
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "$id": "https://berth.dev/schemas/config.json",
  "title": "ConfigFile",
  "description": "The daemon's configuration, /etc/berth/config.json",
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "$schema": {
      "type": "string"
    },
    "root": {
      "type": "string",
      "pattern": "^/",
      "description": "Folder for everything that is kept, /var/lib/berth"
    },
    "run": {
      "type": "string",
      "pattern": "^/",
      "description": "Folder for sockets, /run/berth"
    },
    "group": {
      "type": "string",
      "minLength": 1,
      "description": "Group whose members may use the sockets, which equals root; berth, when there is one"
    },
    "registries": {
      "type": "object",
      "description": "By host; docker.io for Docker Hub, * for all",
      "additionalProperties": {
        "type": "object",
        "additionalProperties": false,
        "properties": {
          "mirrors": {
            "type": "array",
            "items": {
              "type": "string",
              "pattern": "^https?://"
            },
            "description": "Asked in order before the registry itself"
          },
          "insecure": {
            "type": "boolean",
            "description": "Plain HTTP, or HTTPS without checking the certificate"
          },
          "ca": {
            "type": "string",
            "pattern": "^/",
            "description": "File with the certificates to trust"
          }
        }
      }
    },
    "registry": {
      "type": "object",
      "description": "The registry inside the daemon; none when absent",
      "additionalProperties": false,
      "required": [
        "address"
      ],
      "properties": {
        "address": {
          "type": "string",
          "pattern": "^(\\[[0-9a-fA-F:]+\\]|[^:\\s]+):\\d{1,5}$",
          "description": "127.0.0.1:5000"
        }
      }
    },
    "network": {
      "type": "object",
      "additionalProperties": false,
      "properties": {
        "subnet": {
          "type": "string",
          "pattern": "^\\d+\\.\\d+\\.\\d+\\.\\d+/\\d+$",
          "description": "10.210.0.0/16"
        },
        "serviceSubnet": {
          "type": "string",
          "pattern": "^\\d+\\.\\d+\\.\\d+\\.\\d+/\\d+$",
          "description": "10.211.0.0/16"
        },
        "domain": {
          "type": "string",
          "pattern": "^[a-z0-9.-]+$",
          "description": "cluster.local"
        }
      }
    },
    "logs": {
      "type": "object",
      "additionalProperties": false,
      "properties": {
        "maxSize": {
          "$ref": "#/$defs/quantity",
          "description": "Size at which a container's log is rotated, 10Mi"
        },
        "maxFiles": {
          "type": "integer",
          "minimum": 1,
          "maximum": 100,
          "description": "3"
        }
      }
    }
  },
  "$defs": {
    "quantity": {
      "type": [
        "string",
        "integer"
      ],
      "pattern": "^\\d+(\\.\\d+)?([kMGT]i?|Ki)?$"
    }
  }
} as const
