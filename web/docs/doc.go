// Package docs serves what describes the hub: OpenAPI and AsyncAPI documents, made of the
// YAML files here, and pages, made of the Markdown files and of the same documents.
//
// # Promises
//
//   - Every route, message and error of the hub is described, and every example was sent to a
//     hub by a test.
package docs
