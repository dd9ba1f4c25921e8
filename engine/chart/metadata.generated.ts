// Generated from schemas/chart.json by npm run gen. Do not edit.

/**
 * Chart.yaml, as Helm reads it (apiVersion v2, and v1 of old charts)
 */
export interface ChartMetadata {
/**
 * v2; v1 for charts of Helm 2
 */
apiVersion?: ("v1" | "v2")
/**
 * a name without slashes
 */
name: string
/**
 * a semantic version such as 1.2.3
 */
version: string
kubeVersion?: string
description?: string
type?: ("" | "application" | "library")
keywords?: (string[] | null)
home?: string
sources?: (string[] | null)
dependencies?: ({
name: string
version?: string
repository?: string
condition?: string
tags?: string[]
enabled?: boolean
"import-values"?: unknown[]
/**
 * letters, digits, "_" and "-"
 */
alias?: string
}[] | null)
maintainers?: ({
name?: string
email?: string
url?: string
}[] | null)
icon?: string
condition?: string
tags?: string
appVersion?: (string | number)
deprecated?: boolean
annotations?: ({
[k: string]: string
} | null)
}

export const chartSchema = {
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "$id": "https://berth.dev/schemas/chart.json",
  "title": "ChartMetadata",
  "description": "Chart.yaml, as Helm reads it (apiVersion v2, and v1 of old charts)",
  "type": "object",
  "additionalProperties": false,
  "required": [
    "name",
    "version"
  ],
  "properties": {
    "apiVersion": {
      "description": "v2; v1 for charts of Helm 2",
      "enum": [
        "v1",
        "v2"
      ]
    },
    "name": {
      "type": "string",
      "description": "a name without slashes",
      "pattern": "^(?!\\.{1,2}$)[^/\\\\]+$"
    },
    "version": {
      "type": "string",
      "description": "a semantic version such as 1.2.3",
      "pattern": "^v?(0|[1-9]\\d*)(\\.(0|[1-9]\\d*))?(\\.(0|[1-9]\\d*))?(-[0-9A-Za-z-]+(\\.[0-9A-Za-z-]+)*)?(\\+[0-9A-Za-z-]+(\\.[0-9A-Za-z-]+)*)?$"
    },
    "kubeVersion": {
      "type": "string"
    },
    "description": {
      "type": "string"
    },
    "type": {
      "enum": [
        "",
        "application",
        "library"
      ]
    },
    "keywords": {
      "type": [
        "array",
        "null"
      ],
      "items": {
        "type": "string"
      }
    },
    "home": {
      "type": "string"
    },
    "sources": {
      "type": [
        "array",
        "null"
      ],
      "items": {
        "type": "string"
      }
    },
    "dependencies": {
      "type": [
        "array",
        "null"
      ],
      "items": {
        "type": "object",
        "additionalProperties": false,
        "required": [
          "name"
        ],
        "properties": {
          "name": {
            "type": "string"
          },
          "version": {
            "type": "string"
          },
          "repository": {
            "type": "string"
          },
          "condition": {
            "type": "string"
          },
          "tags": {
            "type": "array",
            "items": {
              "type": "string"
            }
          },
          "enabled": {
            "type": "boolean"
          },
          "import-values": {
            "type": "array"
          },
          "alias": {
            "type": "string",
            "description": "letters, digits, \"_\" and \"-\"",
            "pattern": "^[a-zA-Z0-9_-]+$"
          }
        }
      }
    },
    "maintainers": {
      "type": [
        "array",
        "null"
      ],
      "items": {
        "type": "object",
        "additionalProperties": false,
        "properties": {
          "name": {
            "type": "string"
          },
          "email": {
            "type": "string"
          },
          "url": {
            "type": "string"
          }
        }
      }
    },
    "icon": {
      "type": "string"
    },
    "condition": {
      "type": "string"
    },
    "tags": {
      "type": "string"
    },
    "appVersion": {
      "type": [
        "string",
        "number"
      ]
    },
    "deprecated": {
      "type": "boolean"
    },
    "annotations": {
      "type": [
        "object",
        "null"
      ],
      "additionalProperties": {
        "type": "string"
      }
    }
  }
} as const
