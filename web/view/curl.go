package view

// Curl is a command that sends a request with the caller's key. An empty body is left out.
func Curl(method, url string, headers []string, body string) string {
	text := "curl"
	if method != "GET" && !(method == "POST" && body != "") {
		text += " -X " + method
	}
	text += " " + quoted(url) + ` \` + "\n" + `  -H "Authorization: Bearer $JOBHUB_TOKEN"`
	for _, h := range headers {
		text += " \\\n  -H " + quoted(h)
	}
	if body != "" {
		text += " \\\n  -d " + quoted(body)
	}
	return text
}
