package signature

import (
	"net/http"

	"jobhub/jobs"
)

// unauthorized is the code of problems with status 401; see rest.Unauthorized.
const unauthorized jobs.Code = "unauthorized"

// refused is the answer to a signature that does not count.
func refused(format string, args ...any) *jobs.Problem {
	p := jobs.NewProblem(unauthorized, "Invalid signature", format, args...)
	p.Status = http.StatusUnauthorized
	return p
}

var (
	errUnsigned  = refused("The request has no signature. Send Signature-Input and Signature (RFC 9421).")
	errMalformed = refused("Signature-Input and Signature are not as RFC 9421 has them: two dictionaries with the same labels.")
	errWrong     = refused("The signature is not one of a known key over this request. Check the key's id and secret, and that the request arrives as it was signed: method, host, path, query and covered headers.")
	errComponent = refused("The signature covers something that the request does not have, has several times, or that the hub can't check. Cover %s, and headers that are sent.", required)
	errReplayed  = refused("A request with this nonce was taken before. Sign it again with another nonce.")
	errDigest    = refused("The body is not the one that was signed: its digest differs from Content-Digest.")
	errNoDigest  = refused("Content-Digest must have a sha-256 or sha-512 of the body (RFC 9530).")
	errFull      = jobs.Unavailable("Too many signed requests", "The hub can't remember more nonces now. Sign without a nonce, or try again in a minute.")
)

const required = "@method; @target-uri, or @authority with @path and @query; and content-digest if there is a body"
