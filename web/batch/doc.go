// Package batch runs many requests that come as one.
//
// # Promises
//
//   - Each request of a batch is answered as if it had come by itself, with its caller's
//     rights and no more, and with its place in the batch.
//   - A request that depends on another begins when that is answered with 2xx, and is not run
//     otherwise.
//   - An asynchronous batch is a job: it goes on after a restart, and a request that was
//     answered is not sent again.
//
// A batch goes
//
//	postBatch → decodeBatch → newBatch → run → serve → ask → Front.Serve
//	     └ asynchronous: api.Accept … handler → run
package batch
