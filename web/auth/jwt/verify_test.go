package jwt

import (
	"context"
	"crypto"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"jobhub/jobs"
)

func TestAllAlgorithms(t *testing.T) {
	p := &provider{document: jwks(named("rsa", rsaPrivate), named("p256", p256Private), named("p384", p384Private), named("p521", p521Private), named("ed", edPrivate))}
	i := start(t, options(p))
	kids := map[crypto.Signer]string{rsaPrivate: "rsa", p256Private: "p256", p384Private: "p384", p521Private: "p521"}
	for _, alg := range algorithmNames {
		private := privateByAlg[alg]
		kid := "ed"
		if alg != "EdDSA" {
			kid = kids[private]
		}
		for _, header := range []string{fmt.Sprintf(`{"alg":%q,"kid":%q,"typ":"JWT"}`, alg, kid), fmt.Sprintf(`{"alg":%q,"typ":"application/AT+JWT"}`, alg)} {
			c, err := i.Verify(context.Background(), sign(alg, header, payload(""), private))
			if err != nil || c.Subject != "alice" || c.Issuer != "corp" || c.Tenant != jobs.DefaultTenant {
				t.Errorf("%s: %+v, %v", header, c, err)
			}
		}
	}
	if p.fetches() != 1 || !strings.Contains(p.accept, "application/jwk-set+json") {
		t.Errorf("the keys were fetched %d times with Accept: %s, want once", p.fetches(), p.accept)
	}
}

func TestWrongSignatures(t *testing.T) {
	p := &provider{document: jwks(named("rsa", rsaPrivate), named("p256", p256Private), named("ed", edPrivate))}
	i := start(t, options(p))
	good := edToken("ed", payload(""))
	parts := strings.Split(good, ".")
	der := must(x509.MarshalPKIXPublicKey(rsaPrivate.Public()))
	asSecret := func(secret []byte) string {
		signed := encode([]byte(`{"alg":"HS256","kid":"rsa"}`)) + "." + parts[1]
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(signed))
		return signed + "." + encode(mac.Sum(nil))
	}
	other := string(good[len(good)-1] + 1) // the last of A, Q, g and w differs in bits that stand for no byte
	cases := map[string]struct{ token, text string }{
		"empty":                   {"", "not a signed"},
		"a key of the hub":        {"jh_abc", "not a signed"},
		"two parts":               {parts[0] + "." + parts[1], "not a signed"},
		"five parts":              {good + ".a.b", "Encrypted"},
		"no signature":            {parts[0] + "." + parts[1] + ".", "not a signed"},
		"none":                    {encode([]byte(`{"alg":"none"}`)) + "." + parts[1] + ".", "algorithm"},
		"None":                    {encode([]byte(`{"alg":"None"}`)) + "." + parts[1] + "." + parts[2], "algorithm"},
		"no alg":                  {encode([]byte(`{"kid":"ed"}`)) + "." + parts[1] + "." + parts[2], "algorithm"},
		"public key as secret":    {asSecret(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), "algorithm"},
		"modulus as secret":       {asSecret(rsaPrivate.N.Bytes()), "algorithm"},
		"other key":               {sign("EdDSA", `{"alg":"EdDSA","kid":"ed"}`, payload(""), otherEd), "signature"},
		"other key, no kid":       {sign("EdDSA", `{"alg":"EdDSA"}`, payload(""), otherEd), "signature"},
		"changed payload":         {parts[0] + "." + encode([]byte(payload(`"admin":true,`))) + "." + parts[2], "signature"},
		"kid of another kind":     {sign("EdDSA", `{"alg":"EdDSA","kid":"rsa"}`, payload(""), edPrivate), "no key that fits"},
		"alg of another curve":    {sign("ES384", `{"alg":"ES384","kid":"p256"}`, payload(""), p384Private), "no key that fits"},
		"PS signature as RS":      {sign("PS256", `{"alg":"RS256","kid":"rsa"}`, payload(""), rsaPrivate), "signature"},
		"unknown kid":             {edToken("new", payload("")), "no key that fits"},
		"not canonical":           {good[:len(good)-1] + other, "not a signed"},
		"line break":              {good[:len(good)-4] + "\n" + good[len(good)-4:], "not a signed"},
		"padding":                 {good + "==", "not a signed"},
		"space":                   {good + " ", "not a signed"},
		"header is no object":     {sign("EdDSA", `["EdDSA"]`, payload(""), edPrivate), "not a signed"},
		"header is null":          {sign("EdDSA", `null`, payload(""), edPrivate), "not a signed"},
		"header is no JSON":       {sign("EdDSA", `{"alg":"EdDSA"`, payload(""), edPrivate), "not a signed"},
		"header with two algs":    {sign("EdDSA", `{"alg":"EdDSA","alg":"EdDSA"}`, payload(""), edPrivate), "not a signed"},
		"alg in capitals":         {sign("EdDSA", `{"ALG":"EdDSA"}`, payload(""), edPrivate), "algorithm"},
		"kid is a number":         {sign("EdDSA", `{"alg":"EdDSA","kid":1}`, payload(""), edPrivate), "not a signed"},
		"crit":                    {sign("EdDSA", `{"alg":"EdDSA","crit":["b64"],"b64":true}`, payload(""), edPrivate), "crit"},
		"empty crit":              {sign("EdDSA", `{"alg":"EdDSA","crit":[]}`, payload(""), edPrivate), "crit"},
		"nested":                  {sign("EdDSA", `{"alg":"EdDSA","cty":"JWT"}`, payload(""), edPrivate), "cty"},
		"encrypted":               {sign("EdDSA", `{"alg":"EdDSA","enc":"A128GCM"}`, payload(""), edPrivate), "Encrypted"},
		"logout token":            {sign("EdDSA", `{"alg":"EdDSA","typ":"logout+jwt"}`, payload(""), edPrivate), "kind"},
		"deep header":             {sign("EdDSA", `{"alg":"EdDSA","a":`+strings.Repeat("[", 99)+strings.Repeat("]", 99)+`}`, payload(""), edPrivate), "not a signed"},
		"deep payload":            {edToken("ed", payload(`"a":`+strings.Repeat("[", 99)+strings.Repeat("]", 99)+`,`)), "not a signed"},
		"payload is a list":       {edToken("ed", `["iss"]`), "not a signed"},
		"payload is null":         {edToken("ed", `null`), "not a signed"},
		"payload is no UTF-8":     {edToken("ed", "{\"a\":\"\xff\"}"), "not a signed"},
		"member twice":            {edToken("ed", payload(`"sub":"bob",`)), "not a signed"},
		"member twice, inside":    {edToken("ed", payload(`"a":{"b":1,"b":2},`)), "not a signed"},
		"member twice, escaped":   {edToken("ed", payload(`"\u0073ub":"bob",`)), "not a signed"},
		"more behind the payload": {edToken("ed", payload("")+"{}"), "not a signed"},
		"too large":               {edToken("ed", payload(`"a":"`+strings.Repeat("a", MaxToken)+`",`)), "8 KiB"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) { refuse(t, i, c.token, 401, c.text) })
	}
	verify(t, i, good)
}

// TestHeadersAreNotFollowed: the token names another place for its key, which is never asked.
func TestHeadersAreNotFollowed(t *testing.T) {
	p := &provider{document: jwks(named("ed", edPrivate))}
	i := start(t, options(p))
	own := `"jku":"https://evil.example.com/keys","x5u":"https://evil.example.com/cert","jwk":{` + publicJWK(otherEd) + `}`
	refuse(t, i, sign("EdDSA", `{"alg":"EdDSA","kid":"ed",`+own+`}`, payload(""), otherEd), 401, "signature")
	refuse(t, i, sign("EdDSA", `{"alg":"EdDSA","kid":"evil",`+own+`}`, payload(""), otherEd), 401, "no key")
	if p.fetches() != 1 {
		t.Errorf("%d fetches, want one", p.fetches())
	}
}

func TestClaims(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &provider{document: jwks(named("ed", edPrivate))}
		o := options(p)
		o.TenantClaim, o.NameClaim = "org", "name"
		i := start(t, o)
		now := time.Now().Unix()
		base := func(iss, aud, sub, exp, org string) string {
			return fmt.Sprintf(`{"iss":%s,"aud":%s,"sub":%s,"exp":%s,"org":%s}`, iss, aud, sub, exp, org)
		}
		iss, exp := `"`+issuerURL+`"`, fmt.Sprint(now+100)
		with := func(more string) string {
			return strings.TrimSuffix(base(iss, `"hub"`, `"alice"`, exp, `"shop"`), "}") + "," + more + "}"
		}
		cases := map[string]struct{ payload, text string }{
			"good":                 {base(iss, `"hub"`, `"alice"`, exp, `"shop"`), ""},
			"audience in a list":   {base(iss, `["a","hub"]`, `"alice"`, exp, `"shop"`), ""},
			"tenant is a number":   {base(iss, `"hub"`, `"alice"`, exp, `1234`), ""},
			"fraction":             {base(iss, `"hub"`, `"alice"`, exp+".5", `"shop"`), ""},
			"exponent":             {base(iss, `"hub"`, `"alice"`, "2e9", `"shop"`), ""},
			"other issuer":         {base(`"https://evil.example.com/"`, `"hub"`, `"alice"`, exp, `"shop"`), "issuer"},
			"issuer without slash": {base(`"https://idp.example.com"`, `"hub"`, `"alice"`, exp, `"shop"`), "issuer"},
			"issuer in a list":     {base("["+iss+"]", `"hub"`, `"alice"`, exp, `"shop"`), "issuer"},
			"other audience":       {base(iss, `"shop"`, `"alice"`, exp, `"shop"`), "audience hub"},
			"audience begins so":   {base(iss, `"hub2"`, `"alice"`, exp, `"shop"`), "audience"},
			"audience is null":     {base(iss, `null`, `"alice"`, exp, `"shop"`), "audience"},
			"audience mixed":       {base(iss, `["hub",1]`, `"alice"`, exp, `"shop"`), "audience"},
			"no subject":           {base(iss, `"hub"`, `""`, exp, `"shop"`), "sub"},
			"subject is null":      {base(iss, `"hub"`, `null`, exp, `"shop"`), "sub"},
			"subject with a break": {base(iss, `"hub"`, `"a\nb"`, exp, `"shop"`), "sub"},
			"long subject":         {base(iss, `"hub"`, `"`+strings.Repeat("a", 256)+`"`, exp, `"shop"`), "sub"},
			"expired now":          {base(iss, `"hub"`, `"alice"`, fmt.Sprint(now), `"shop"`), "expired"},
			"expires in 1970":      {base(iss, `"hub"`, `"alice"`, "0", `"shop"`), "expired"},
			"expiry is a text":     {base(iss, `"hub"`, `"alice"`, `"`+exp+`"`, `"shop"`), "exp"},
			"expiry is null":       {base(iss, `"hub"`, `"alice"`, `null`, `"shop"`), "exp"},
			"expiry in ms":         {base(iss, `"hub"`, `"alice"`, exp+"000", `"shop"`), "exp"},
			"expiry is negative":   {base(iss, `"hub"`, `"alice"`, "-1", `"shop"`), "exp"},
			"expiry is endless":    {base(iss, `"hub"`, `"alice"`, "1e400", `"shop"`), "exp"},
			"tenant in capitals":   {base(iss, `"hub"`, `"alice"`, exp, `"Shop"`), "org"},
			"tenant is dots":       {base(iss, `"hub"`, `"alice"`, exp, `".."`), "org"},
			"tenant is null":       {base(iss, `"hub"`, `"alice"`, exp, `null`), "org"},
			"tenant in a list":     {base(iss, `"hub"`, `"alice"`, exp, `["shop"]`), "org"},
			"tenant with point":    {base(iss, `"hub"`, `"alice"`, exp, `1234.0`), "org"},
			"nbf within skew":      {with(fmt.Sprintf(`"nbf":%d`, now+60)), ""},
			"nbf behind skew":      {with(fmt.Sprintf(`"nbf":%d`, now+61)), "not valid yet (nbf)"},
			"iat behind skew":      {with(fmt.Sprintf(`"iat":%d`, now+61)), "not valid yet (iat)"},
			"nbf is a text":        {with(`"nbf":"0"`), "nbf"},
			"scope is a number":    {with(`"scope":1`), "scope"},
			"scopes mixed":         {with(`"scope":["a",1]`), "scope"},
		}
		for name, c := range cases {
			_, err := i.Verify(t.Context(), edToken("ed", c.payload))
			p, _ := errors.AsType[*jobs.Problem](err)
			if c.text == "" && err != nil || c.text != "" && (p == nil || p.Status != 401 || !strings.Contains(p.Detail, c.text)) {
				t.Errorf("%s: the error is %v, want %q", name, err, c.text)
			}
		}
		for _, without := range []string{"iss", "aud", "sub", "exp", "org"} { // a missing claim is refused
			refuse(t, i, edToken("ed", strings.Replace(base(iss, `"hub"`, `"alice"`, exp, `"shop"`), `"`+without+`"`, `"x"`, 1)), 401, "")
		}
	})
}

func TestScopesAndName(t *testing.T) {
	p := &provider{document: jwks(named("ed", edPrivate))}
	o := options(p)
	o.ScopesClaim, o.NameClaim = "scp", "name"
	i := start(t, o)
	for _, c := range []struct {
		more, name string
		scopes     []string
	}{
		{``, "alice", nil},
		{`"scp":null,`, "alice", nil},
		{`"scp":"","name":"",`, "alice", []string{}},
		{`"scp":"orders.read  a:b","name":"Alice B",`, "Alice B", []string{"orders.read", "a:b"}},
		{`"scp":["orders.read","Order Admin","x\"y",""],"name":42,`, "42", []string{"orders.read"}},
		{`"scp":"a\tb c","name":"A\u0000B",`, "alice", []string{"c"}},
		{`"scope":"ignored",`, "alice", nil},
	} {
		got := verify(t, i, edToken("ed", payload(c.more)))
		if got.Name != c.name || !reflect.DeepEqual(got.Scopes, c.scopes) && len(got.Scopes)+len(c.scopes) > 0 {
			t.Errorf("%s gives %q with %q, want %q with %q", c.more, got.Name, got.Scopes, c.name, c.scopes)
		}
	}
	many := verify(t, i, edToken("ed", payload(`"scp":"`+strings.Repeat("a ", 1000)+`",`)))
	if len(many.Scopes) != MaxScopes {
		t.Errorf("%d scopes, want %d", len(many.Scopes), MaxScopes)
	}
}

// TestDigits: claims keep their digits, also when they were remembered.
func TestDigits(t *testing.T) {
	p := &provider{document: jwks(named("ed", edPrivate))}
	i := start(t, options(p))
	want := map[string]string{"a": "1234", "b": "9007199254740993", "c": "1.10", "d": "1e400", "e": "0.1000000000000000000", "f": "-0", "g": "true", "h": "[]", "i": `{"x":[]}`}
	var more strings.Builder
	for name, text := range want {
		fmt.Fprintf(&more, `"%s":%s,`, name, text)
	}
	token := edToken("ed", payload(more.String()+`"j":"A\u00e4","k":null,`))
	want["j"] = "Aä"
	for range 2 {
		c := verify(t, i, token)
		for name, text := range want {
			if got, ok := c.Text(name); !ok || got != text {
				t.Errorf("claim %s is %q, want %q", name, got, text)
			}
		}
		for _, name := range []string{"k", "missing"} {
			if got, ok := c.Text(name); ok {
				t.Errorf("claim %s is %q, want none", name, got)
			}
		}
	}
}

func TestChallenge(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{errMalformed, `Bearer error="invalid_token", error_description="This is not a signed JSON Web Token. Send the access token as the identity provider gave it."`},
		{refused("a \"b\" \\ ä\n"), `Bearer error="invalid_token", error_description="a 'b' ' ??"`},
		{errUnavailable(nil), ""},
		{context.Canceled, ""},
		{nil, ""},
	} {
		if got := Challenge(c.err); got != c.want {
			t.Errorf("%v gives %s, want %s", c.err, got, c.want)
		}
	}
}

func TestOptions(t *testing.T) {
	good := options(&provider{})
	for name, c := range map[string]struct {
		change func(*Options)
		text   string // empty if it is taken
	}{
		"good":         {func(*Options) {}, ""},
		"localhost":    {func(o *Options) { o.JWKS = "http://localhost:8080/keys" }, ""},
		"loopback":     {func(o *Options) { o.JWKS = "http://[::1]/keys" }, ""},
		"no name":      {func(o *Options) { o.Name = "" }, "name"},
		"no issuer":    {func(o *Options) { o.Issuer = "" }, "issuer"},
		"no audience":  {func(o *Options) { o.Audience = "" }, "audience"},
		"no client":    {func(o *Options) { o.Client = nil }, "client"},
		"no keys":      {func(o *Options) { o.JWKS = "" }, "jwks"},
		"relative":     {func(o *Options) { o.JWKS = "/keys" }, "jwks"},
		"http":         {func(o *Options) { o.JWKS = "http://idp.example.com/keys" }, "https"},
		"http, fooled": {func(o *Options) { o.JWKS = "http://localhost.example.com/keys" }, "https"},
		"file":         {func(o *Options) { o.JWKS = "file:///keys" }, "jwks"},
		"password":     {func(o *Options) { o.JWKS = "https://a:b@idp.example.com/" }, "jwks"},
	} {
		o := good
		c.change(&o)
		i, err := New(o)
		switch {
		case c.text == "" && (err != nil || i.Options() != o):
			t.Errorf("%s: %v, or its options have changed", name, err)
		case c.text != "" && (err == nil || !strings.Contains(err.Error(), c.text)):
			t.Errorf("%s: the error is %v, want one about %s", name, err, c.text)
		}
		if i != nil {
			i.Close()
		}
	}
}
