// Package jwt verifies bearer tokens that an identity provider has signed: JSON Web Tokens
// (RFC 7519, RFC 8725) with the keys that the provider publishes (RFC 7517).
//
// What it promises:
//
//   - Only signatures with a public key count: RS, PS and ES with 256, 384 or 512, and EdDSA
//     with Ed25519. The key's type, curve, alg, use and key_ops must fit the token's alg. Keys
//     come from the configured address alone; jku, jwk, x5u and x5c of a token are not looked at.
//   - A token needs the configured issuer and audience, a subject and an expiry. It is refused
//     from the second of its expiry on; nbf and iat may be up to Skew ahead of the hub's clock.
//   - What a token may be read as in two ways is refused: members twice, unknown critical
//     members (crit), base64 that is not canonical, tokens in tokens, encrypted tokens.
//   - Claims keep their digits: what is in Claims.Raw is what was signed.
//   - The keys are fetched at first use and again when their time is over: that of Cache-Control
//     within MinRefresh and MaxRefresh, else DefaultRefresh. A key that the provider no longer
//     publishes counts no longer from then on, also for tokens that were verified before.
//   - A token of an unknown key causes one fetch, for all callers together, and at most one in
//     MinPause. Tokens of known keys do not wait for it.
//   - If the provider can't be reached, the last keys count for Grace after the time at which
//     they should have been replaced; then tokens are answered with 503, not 401.
//   - Memory is bounded: a token has at most MaxToken bytes, a set of keys MaxDocument bytes and
//     MaxKeys keys, and verified tokens are remembered, by their hash, within CacheBytes.
//   - Close ends a fetch that is under way, and returns when no goroutine is left.
//
// Call tree:
//
//	New                         options.go   checks the options
//	Issuers.Verify              issuers.go   finds the issuer of a token among several
//	Issuer.Verify               issuer.go
//	├── cache.get               cache.go     verified before, with the keys of now
//	├── parse                   token.go     splits and decodes; trusts nothing
//	├── source.current          source.go    the keys; waits for the first fetch alone
//	├── Issuer.verifySignature  issuer.go
//	│   ├── keySet.candidates   keyset.go    the keys that fit
//	│   └── source.refetch      source.go    for an unknown key, once
//	├── Issuer.claims           claims.go    issuer, audience, times, tenant, scopes, name
//	└── cache.put               cache.go
//	source.run                  source.go    the one goroutine, which fetches
//	├── source.fetch            fetch.go     one request, bounded
//	├── decodeKeySet            keyset.go
//	└── source.publish          source.go
//
// The signatures are verified by golang-jwt. keyfunc and jwkset are not used: their fetch has no
// bound in bytes or keys, one bad key spoils the set, a token of an unknown key waits for the
// rate limiter, and the goroutine that refreshes has nobody who can wait for it.
package jwt
