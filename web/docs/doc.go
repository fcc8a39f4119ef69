// Package docs serves the documentation of the hub: OpenAPI and AsyncAPI documents, made from
// the YAML files here, and pages, made from the Markdown files and the same documents.
//
// # Promises
//
//   - Every route, message and error of the hub is described, and a test sends every example
//     to a hub.
package docs
