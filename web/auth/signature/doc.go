// Package signature verifies and makes signed requests: HTTP Message Signatures (RFC 9421) with
// hmac-sha256, for keys with a secret, and Content-Digest (RFC 9530) for their bodies.
//
// What it promises:
//
//   - A signature counts only if it covers the method, the address (@target-uri, or @authority
//     with @path and @query) and, if there is a body, content-digest; and says when it was
//     created and by which key. It may cover any other header and derived component of a request.
//   - The path and the query are those that the hub routes by and sends on.
//   - A request is taken from MaxAhead before to MaxAge after its creation, and not from its
//     expires on. One with a nonce is taken once: a nonce is remembered per key for as long as
//     the request could be sent again. That memory is bounded, and does not outlive the process;
//     if it is full, requests with a nonce get 503, and never pass unchecked.
//   - The body is checked while it is read. Its last byte is handed over only after the whole
//     body was found to be the one that was signed, so nobody ever has a complete forged body.
//   - An unknown key and a wrong signature get the same answer in about the same time.
//   - Of several signatures one that is valid is enough; the first MaxSignatures are looked at.
//     The headers have at most MaxHeader bytes each.
//
// Not taken are components with parameters (sf, bs, key, tr, req), but for @query-param.
//
// Call tree:
//
//	Verifier.Verify      verify.go
//	├── parse            input.go    both headers, as structured fields
//	├── input.check      input.go    what it covers, and when it was made
//	├── message.base     base.go     the text that is signed
//	├── nonces.use       nonce.go
//	└── checkedBody      digest.go   checks the body while it is read
//	Sign                 sign.go
//	├── message.base     base.go
//	└── digestOf         digest.go
package signature
