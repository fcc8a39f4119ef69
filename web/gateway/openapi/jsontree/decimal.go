package jsontree

import (
	"cmp"
	"math/big"
	"strconv"
	"strings"
)

// Decimal is a number without loss: 0.digits × 10^exp, digits without zeros at either end.
// Zero has no digits.
type Decimal struct {
	neg    bool
	digits string
	exp    int
}

// ParseDecimal reads a JSON number that Read has accepted.
func ParseDecimal(s string) Decimal {
	var d Decimal
	if d.neg = strings.HasPrefix(s, "-"); d.neg {
		s = s[1:]
	}
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		d.exp, _ = strconv.Atoi(strings.TrimPrefix(s[i+1:], "+"))
		s = s[:i]
	}
	whole, fraction, _ := strings.Cut(s, ".")
	d.exp += len(whole)
	digits := strings.TrimLeft(whole+fraction, "0")
	d.exp -= len(whole) + len(fraction) - len(digits)
	d.digits = strings.TrimRight(digits, "0")
	if d.digits == "" {
		return Decimal{}
	}
	return d
}

// Compare is -1 if d is less than o, 0 if they are equal, else 1.
func (d Decimal) Compare(o Decimal) int {
	switch {
	case d.digits == "" || o.digits == "" || d.neg != o.neg:
		return cmp.Compare(d.Sign(), o.Sign())
	case d.neg:
		d, o = o, d
	}
	return cmp.Or(cmp.Compare(d.exp, o.exp), strings.Compare(d.digits, o.digits))
}

// Sign is -1, 0 or 1.
func (d Decimal) Sign() int {
	switch {
	case d.digits == "":
		return 0
	case d.neg:
		return -1
	}
	return 1
}

// IsInteger reports whether d is a whole number, however it is written.
func (d Decimal) IsInteger() bool { return len(d.digits) <= d.exp || d.digits == "" }

// IsMultipleOf reports whether d is a whole number of times m, which is above zero.
func (d Decimal) IsMultipleOf(m Decimal) bool {
	if d.digits == "" || m.digits == "" {
		return d.digits == ""
	}
	// d = a×10^x and m = b×10^y; a does not end in 0, so m's power of ten must not be larger.
	x, y := d.exp-len(d.digits), m.exp-len(m.digits)
	a, _ := new(big.Int).SetString(d.digits, 10)
	b, _ := new(big.Int).SetString(m.digits, 10)
	if x < y {
		return false
	}
	shift := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(x-y)), b)
	return shift.Mul(shift, a).Mod(shift, b).Sign() == 0
}

// AppendCanonical appends the number such that equal numbers have equal texts.
func (d Decimal) AppendCanonical(b []byte) []byte {
	if d.neg {
		b = append(b, '-')
	}
	b = append(b, '.')
	b = append(b, d.digits...)
	return strconv.AppendInt(append(b, 'e'), int64(d.exp), 10)
}

// String is the number for people: plain digits where these are few.
func (d Decimal) String() string {
	sign := ""
	if d.neg {
		sign = "-"
	}
	n := len(d.digits)
	switch {
	case n == 0:
		return "0"
	case n <= d.exp && d.exp <= 40:
		return sign + d.digits + strings.Repeat("0", d.exp-n)
	case d.exp > 0 && d.exp < n:
		return sign + d.digits[:d.exp] + "." + d.digits[d.exp:]
	case d.exp <= 0 && d.exp > -20:
		return sign + "0." + strings.Repeat("0", -d.exp) + d.digits
	}
	return sign + "0." + d.digits + "e" + strconv.Itoa(d.exp)
}
