package jobs

import (
	"testing"
	"time"
)

// TestWrongTypes: an error says what a member must be and what was found.
func TestWrongTypes(t *testing.T) {
	type members struct {
		Text    string         `json:"text"`
		Whole   int            `json:"whole"`
		Count   uint64         `json:"count"`
		Byte    uint8          `json:"byte"`
		Pointer *int           `json:"pointer"`
		Number  float64        `json:"number"`
		Yes     bool           `json:"yes"`
		List    []string       `json:"list"`
		Map     map[string]int `json:"map"`
		At      time.Time      `json:"at"`
		Data    []byte         `json:"data"`
	}
	for body, want := range map[string]string{
		`{"text":1}`:                     "/text: must be a string, not a number",
		`{"text":{}}`:                    "/text: must be a string, not an object",
		`{"whole":1.5}`:                  "/whole: must be a whole number, not 1.5",
		`{"whole":"x"}`:                  `/whole: must be a whole number, not a string`,
		`{"whole":99999999999999999999}`: "/whole: must be a whole number from -9223372036854775808 to 9223372036854775807, not 99999999999999999999",
		`{"count":-1}`:                   "/count: must be a whole number, 0 or more, not -1",
		`{"byte":300}`:                   "/byte: must be a whole number from 0 to 255, not 300",
		`{"pointer":true}`:               "/pointer: must be a whole number, not true",
		`{"number":1e999}`:               "/number: must be a number of at most 64 bits, not 1e999",
		`{"yes":0}`:                      "/yes: must be true or false, not a number",
		`{"list":{}}`:                    "/list: must be an array, not an object",
		`{"list":["a",[]]}`:              "/list/1: must be a string, not an array",
		`{"map":{"a":"b"}}`:              `/map/a: must be a whole number, not a string`,
		`{"at":"soon"}`:                  `/at: must be a time like 2026-01-02T15:04:05Z (RFC 3339), not a string`,
		`{"data":1}`:                     "/data: must be a string in base64, not a number",
		`{"other":1}`:                    "/other: unknown member",
		`[]`:                             ": must be an object, not an array",
		`{"whole":"` + longText + `"}`:   "/whole: must be a whole number, not a string",
	} {
		var v members
		err := Decode([]byte(body), &v)
		p, ok := err.(*Problem)
		if !ok || p.Status != 422 || len(p.Errors) != 1 {
			t.Errorf("%s: %v", body, err)
			continue
		}
		if got := p.Errors[0].Pointer + ": " + p.Errors[0].Detail; got != want {
			t.Errorf("%s: %s\nwant %s", body, got, want)
		}
	}
}

const longText = "a text that is too long to be repeated in an error"
