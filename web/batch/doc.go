// Package batch runs many requests that a client sends as one.
//
// # Promises
//
//   - Each request of a batch (an item) is answered as if it had been sent by itself, with the
//     rights of the batch's caller. The answer has the index of the item.
//   - An item that depends on others starts when all of them were answered with 2xx. If one was
//     not, it is not run.
//   - An asynchronous batch is a job: it continues after a restart, and an item that was
//     answered is not run again.
//
// A batch goes
//
//	postBatch → decodeBatch → newBatch → run → runItem → call → Front.Serve
//	     └ asynchronous: api.Accept … handler → run
package batch
