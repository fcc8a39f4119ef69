package jsontree

import "testing"

func TestDecimalText(t *testing.T) {
	for in, want := range map[string]string{"0": "0", "-0.0": "0", "1.10": "1.1", "100": "100", "1e2": "100", "-12.5e-1": "-1.25", "0.001": "0.001", "1e400": "0.1e401",
		"9007199254740993": "9007199254740993", "12.50": "12.5"} {
		if got := ParseDecimal(in).String(); got != want {
			t.Errorf("%s is %s, want %s", in, got, want)
		}
	}
}
