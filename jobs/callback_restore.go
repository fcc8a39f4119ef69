package jobs

import (
	"fmt"

	"github.com/go-json-experiment/json"
)

// RestoreCallbacks puts the secrets and URLs of stored callbacks into a list as AppendCallbacks
// shows them, where an entry still shows the URL of a stored one and hides its secret. pointer is
// the place of the list. Without mine a hidden secret is an error. What is not such a list stays
// as it is: DecodeCallbacks says what is wrong with it.
func RestoreCallbacks(pointer string, list Value, stored []Callback, mine bool) (Value, error) {
	var entries []map[string]Value
	if json.Unmarshal(list, &entries) != nil {
		return list, nil
	}
	var refused []error
	for i, entry := range entries {
		if !isHiddenSecret(entry["secret"]) {
			continue
		}
		for _, c := range stored {
			if shown := string(shownURL(c.URL)); len(c.Secrets) == 0 || string(entry["url"]) != shown && string(entry["url"]) != string(AppendString(nil, c.URL)) {
				continue
			}
			if !mine {
				refused = append(refused, Invalid(fmt.Sprintf("%s/%d/secret", pointer, i), hiddenDetail))
				break
			}
			entry["url"] = AppendString(nil, c.URL)
			if entry["secret"], _ = json.Marshal(c.Secrets); len(c.Secrets) == 1 { // they are strings
				entry["secret"], _ = json.Marshal(c.Secrets[0])
			}
			break
		}
	}
	restored, err := json.Marshal(entries, json.Deterministic(true))
	if err != nil {
		return list, err
	}
	return restored, JoinProblems(refused...)
}

const hiddenDetail = "is hidden; write its value or leave it out"

func isHiddenSecret(v Value) bool {
	var text string
	return len(v) > 0 && json.Unmarshal(v, &text) == nil && text == hiddenSecret
}
