package usage

import (
	"bytes"
	"hash/crc32"
	"testing"
	"time"
)

func sample() []byte {
	t := table{}
	for i, s := range []series{{"k1", "orders", "v1", "/a", "", 200}, {"k1", "", "", "", "x/y", 0}, {"", "", "", "", "", 503}, {"k2", "orders", "v2", "/b", "", 200}} {
		r := &row{in: int64(i) * 1000, out: 1 << 40, cost: 7}
		for n := range 100 * i {
			r.bins = r.bins.add(bucketOf(time.Duration(n*n)*time.Microsecond), uint64(n+1))
		}
		t.add(s, r)
	}
	return t.encode(marks{1: 2, 1 << 60: 3})
}

// TestBlock: reading and writing a block gives the same bytes.
func TestBlock(t *testing.T) {
	block := sample()
	if err := check(block); err != nil {
		t.Fatal(err)
	}
	again, err := joined(marks{}, nil, block)
	if err != nil || !bytes.Equal(again, block) {
		t.Fatal(err, again, block)
	}
	for i := range block {
		changed := bytes.Clone(block)
		changed[i] ^= 0x40
		if check(changed) == nil {
			t.Errorf("a change of byte %d is not noticed", i)
		}
	}
}

// FuzzBlock: any bytes are read without a panic; what can be read is the same when it is
// written and read again.
func FuzzBlock(f *testing.F) {
	block := sample()
	f.Add(block[:len(block)-sumSize])
	f.Add(table{}.encode(nil)[:7])
	f.Add([]byte{format})
	f.Fuzz(func(t *testing.T, body []byte) {
		sum := crc32.Checksum(body, castagnoli)
		block := append(bytes.Clone(body), byte(sum), byte(sum>>8), byte(sum>>16), byte(sum>>24))
		g := newGroups(Words, nil, 1000)
		errGroups := g.add(block)
		one, err := joined(marks{}, block)
		if (check(block) == nil) != (err == nil) {
			t.Fatalf("check says %v, reading says %v", check(block), err)
		}
		if err != nil {
			return
		}
		if errGroups != nil && errGroups != errTooMany {
			t.Fatal(errGroups)
		}
		two, err := joined(marks{}, one)
		if err != nil || !bytes.Equal(one, two) {
			t.Fatal(err)
		}
	})
}

// TestBuckets: the middle of a bucket is within 2 % of each duration in it.
func TestBuckets(t *testing.T) {
	before := 0
	for d := time.Microsecond; d < 24*time.Hour; d += d/1000 + 1 {
		bucket := bucketOf(d)
		if bucket < before || bucket >= bucketCount {
			t.Fatalf("%v is in bucket %d, after %d", d, bucket, before)
		}
		before = bucket
		if off := middles[bucket] - d; max(off, -off) > d/50+time.Nanosecond {
			t.Fatalf("%v is counted as %v", d, middles[bucket])
		}
	}
	if bucketOf(1<<63-1) != bucketCount-1 || bucketOf(0) != 0 || bucketOf(-1) != 0 {
		t.Error("durations beyond the bounds")
	}
}
