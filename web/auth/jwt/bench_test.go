package jwt

import (
	"context"
	"fmt"
	"testing"
)

// BenchmarkVerify verifies one token again and again, of about 500 bytes: as it is remembered,
// and with no memory.
func BenchmarkVerify(b *testing.B) {
	for _, alg := range []string{"RS256", "ES256", "EdDSA"} {
		p := &provider{document: jwks(named("k", privateByAlg[alg]))}
		token := sign(alg, fmt.Sprintf(`{"alg":%q,"kid":"k","typ":"at+jwt"}`, alg), payload(`"scope":"orders.read orders.write","org":"shop","iat":1,"jti":"0123456789abcdef","name":"Alice",`), privateByAlg[alg])
		for _, bytes := range []int{0, -1} {
			o := options(p)
			o.TenantClaim, o.CacheBytes = "org", bytes
			i := start(b, o)
			b.Run(fmt.Sprintf("%s/cache=%t", alg, bytes == 0), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if _, err := i.Verify(context.Background(), token); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
