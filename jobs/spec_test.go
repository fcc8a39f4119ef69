package jobs_test

import (
	"strings"
	"testing"

	"jobhub/jobs"
)

func TestDecodeSpec(t *testing.T) {
	s, err := jobs.DecodeSpec([]byte(`{"kind":"k","input":{ "n": 1.00000000000000000001 },"tags":["a b"],"priority":-100,"delay":"1h","timeout":"2s",
		"retry":{"max_attempts":2,"backoff":"linear","initial":"3s","max":"10s"},"queue_timeout":"30s"}`))
	if err != nil {
		t.Fatal(err)
	}
	if string(s.Input) != `{"n":1.00000000000000000001}` || s.Queue != "default" || s.Backoff.Kind != jobs.Linear || s.MaxAttempts != 2 {
		t.Errorf("%+v", s)
	}
	for text, want := range map[string]struct {
		status  int
		pointer string
	}{
		``:                                    {400, ""},
		`{`:                                   {400, ""},
		`[]`:                                  {422, ""},
		`{}`:                                  {422, "/kind"},
		`{"kind":"k"}{}`:                      {400, ""},
		`{"kind":"k","kind":"k"}`:             {400, "/kind"},
		`{"Kind":"k"}`:                        {422, "/Kind"},
		`{"kind":"K"}`:                        {422, "/kind"},
		`{"kind":""}`:                         {422, "/kind"},
		`{"kind":"k","queue":""}`:             {422, "/queue"},
		`{"kind":"k","queue":"a/b"}`:          {422, "/queue"},
		`{"kind":1}`:                          {422, "/kind"},
		`{"kind":"k","surprise":1}`:           {422, "/surprise"},
		`{"kind":"k","priority":101}`:         {422, "/priority"},
		`{"kind":"k","priority":1.5}`:         {422, "/priority"},
		`{"kind":"k","priority":"5"}`:         {422, "/priority"},
		`{"kind":"k","priority":1e309}`:       {422, "/priority"},
		`{"kind":"k","tags":[""]}`:            {422, "/tags/0"},
		`{"kind":"k","tags":["a\u0000"]}`:     {422, "/tags/0"},
		`{"kind":"k","tags":["a\u202eb"]}`:    {422, "/tags/0"},
		`{"kind":"k","tags":"a"}`:             {422, "/tags"},
		`{"kind":"k","delay":"1"}`:            {422, "/delay"},
		`{"kind":"k","delay":"-1s"}`:          {422, "/delay"},
		`{"kind":"k","delay":5}`:              {422, "/delay"},
		`{"kind":"k","run_at":"tomorrow"}`:    {422, "/run_at"},
		`{"kind":"k","timeout":"0s"}`:         {422, "/timeout"},
		`{"kind":"k","retry":{"x":1}}`:        {422, "/retry/x"},
		`{"kind":"k","retry":{"initial":""}}`: {422, "/retry/initial"},
		`{"kind":"k","retry":{"initial":"1m","max":"1s"}}`:            {422, "/retry/max"},
		`{"kind":"k","retry":{"max_attempts":0}}`:                     {422, "/retry/max_attempts"},
		`{"kind":"k","retry":{"backoff":"wild"}}`:                     {422, "/retry/backoff"},
		"{\"kind\":\"k\",\"tags\":[\"\xff\"]}":                        {400, "/tags/0"},
		`{"kind":"k","run_at":"2030-01-01T00:00:00Z","delay":"1s"}`:   {422, "/delay"},
		`{"kind":"k","tags":[` + strings.Repeat(`"a",`, 32) + `"a"]}`: {422, "/tags"},
	} {
		_, err := jobs.DecodeSpec([]byte(text))
		p, ok := err.(*jobs.Problem)
		if !ok || p.Status != want.status || (want.pointer != "" && (len(p.Errors) != 1 || p.Errors[0].Pointer != want.pointer)) {
			t.Errorf("%s: %+v, want %d at %s", text, err, want.status, want.pointer)
		}
	}
}

func FuzzDecodeSpec(f *testing.F) {
	f.Add([]byte(`{"kind":"k","input":{"n":1},"tags":["a"],"delay":"1s","retry":{"initial":"1s"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := jobs.DecodeSpec(data)
		if err != nil {
			if p, ok := err.(*jobs.Problem); !ok || (p.Status != 400 && p.Status != 422) {
				t.Errorf("an error that is no problem of the client: %v", err)
			}
			return
		}
		if !jobs.WellFormedName(s.Kind) || !jobs.WellFormedName(s.Queue) || !s.Input.IsValid() {
			t.Errorf("accepted %+v", s)
		}
	})
}
