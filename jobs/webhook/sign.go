package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strings"

	"jobhub/jobs"
)

// sign returns the webhook-signature of Standard Webhooks 1.0: for each secret
// "v1,<base64 HMAC-SHA256 of id.timestamp.body>", with spaces between them.
func sign(secrets []jobs.Secret, id, timestamp string, body []byte) string {
	var list []string
	for _, s := range secrets {
		key, err := s.Key()
		if err != nil { // stored secrets are valid
			continue
		}
		h := hmac.New(sha256.New, key)
		h.Write([]byte(id + "." + timestamp + "."))
		h.Write(body)
		list = append(list, "v1,"+base64.StdEncoding.EncodeToString(h.Sum(nil)))
	}
	return strings.Join(list, " ")
}
