// Package jobs is the vocabulary of a durable queue of jobs, and the contracts that hold it
// together. Package engine, below it, accepts and runs jobs; read its documentation for what
// is promised and for a whole program.
//
// A program needs these types:
//
//   - [Spec] is a job to be done: its kind, its input, when and how often it is tried.
//   - [Handler] runs the jobs of one kind; [Typed] makes one of a Go function. Its function
//     gets a [Run], through which it says how far it is and what it has for the next attempt.
//     Errors of [Permanent], [After] and [Snooze] say what follows from a failure.
//   - [Job] is a job as it is stored: its [State], its result, its error.
//   - [Store] keeps the jobs and the log. Package sqlite has the one on disk, and package
//     storetest the checks that every store has to pass.
//
// Errors of callers are of type *[Problem], with a [Code] for programs; [errors.Is] finds
// [ErrNotFound], [ErrQueueFull] and the others, and the error of a context that ended.
//
// Promises that begin here:
//
//   - Each change of a job is one transaction with the event that tells of it. Events become
//     visible in the order of their numbers, and only once they are durable.
//   - The values of a job (input, result, progress, checkpoint) are JSON by one strict set of
//     rules, whoever brings them.
package jobs
