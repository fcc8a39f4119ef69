package egress

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"jobhub/jobs"
)

// Codes of attempts that failed, besides those of package jobs.
const (
	UpstreamStatus      jobs.Code = "upstream_status"      // an answer that is not a success
	UpstreamUnreachable jobs.Code = "upstream_unreachable" // no complete answer
)

// AttemptError is the error of an attempt without a complete answer: the cause why ctx ended,
// or a *jobs.Failure. Errors of net/http hold URLs and addresses, so none is passed on.
func AttemptError(ctx context.Context, at *url.URL, err error) error {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= 0 {
		<-ctx.Done() // the dialer's timer may fire a moment before that of ctx
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if errors.Is(err, errOwn) {
		return Never(jobs.NewProblem(jobs.BlockedAddress, "Blocked address",
			"%s leads to this hub itself, which jobs do not call. Send the request to the hub directly.", at.Host))
	}
	if errors.Is(err, ErrBlocked) {
		return Never(jobs.NewProblem(jobs.BlockedAddress, "Blocked address",
			"%s leads to an address that is not public. Ask the operator to open its range with --egress-allow.", at.Host))
	}
	if p, ok := errors.AsType[*jobs.Problem](err); ok { // of the hub itself, like that no upstream of a route is well
		return &jobs.Failure{Problem: p}
	}
	return &jobs.Failure{Problem: jobs.NewProblem(UpstreamUnreachable, "Upstream unreachable", "%s", Reason(at.Host, err))}
}

// Reason says why there is no complete answer from host, without addresses.
func Reason(host string, err error) string {
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return "The name in " + host + " could not be resolved. Check that it is right."
	}
	if text := certificate(host, err); text != "" {
		return text
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok || errors.Is(err, http.ErrSchemeMismatch) {
		return host + " does not speak TLS. Check scheme and port."
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return "No connection to " + host + " in time. Check that it is up."
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		return host + " refused the connection. Check that it is up and the port is right."
	}
	return "The connection to " + host + " ended before its answer was complete."
}

// certificate says what is wrong with a certificate; empty for other errors. Errors of
// crypto/x509 hold names and addresses, so none is passed on.
func certificate(host string, err error) string {
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return "The TLS certificate of " + host + " was issued by an authority that is not trusted here. Have the issuer trusted (ca in the configuration) or the certificate replaced."
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return "The TLS certificate of " + host + " is for another name. Call the name that it is for, or have it replaced."
	}
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.Expired {
		return "The TLS certificate of " + host + " has expired or is not valid yet. Have it renewed, and check this machine's clock."
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "The TLS certificate of " + host + " could not be verified. Have it replaced."
	}
	if remote, ok := errors.AsType[*net.OpError](err); ok && remote.Op == "remote error" { // an alert, of which there is a list
		return host + " refused the TLS connection (" + strings.TrimPrefix(remote.Err.Error(), "tls: ") + "). If it asks for a client certificate, name one that it takes (client_cert in the configuration)."
	}
	return ""
}

// Never is a failure that is not retried.
func Never(problem error) *jobs.Failure {
	p, ok := errors.AsType[*jobs.Problem](problem)
	if !ok {
		p = jobs.NewProblem(jobs.Internal, "Internal error", "%s", problem)
	}
	return &jobs.Failure{Problem: p, Never: true}
}
