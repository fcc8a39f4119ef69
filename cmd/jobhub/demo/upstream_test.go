package demo

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// ask calls the sample API inside a bubble, where its slowness takes no time.
func ask(t *testing.T, h http.Handler, method, path, body string) (*http.Response, string, time.Duration) {
	t.Helper()
	start := time.Now()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body)))
	res := w.Result()
	text, _ := io.ReadAll(res.Body)
	return res, string(text), time.Since(start)
}

func TestSampleReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := newSampleAPI(42)
		res, text, took := ask(t, api, "POST", "/reports", `{"title":"A","rows":20000}`)
		if took.Round(100*time.Millisecond) != 12*time.Second || res.Header.Get("Content-Type") != "application/x-ndjson" {
			t.Errorf("the largest took %s: %v", took, res.Header)
		}
		lines := strings.Split(strings.TrimSpace(text), "\n")
		if len(lines) != 25 || lines[5] != `{"message":"page 6 of 24","percent":25}` {
			t.Errorf("%d lines, the sixth %s", len(lines), lines[5])
		}
		if _, _, took := ask(t, api, "POST", "/reports", `{"title":"A","rows":1}`); took.Round(100*time.Millisecond) != 2*time.Second {
			t.Errorf("the smallest took %s", took)
		}
		if res, _, _ := ask(t, api, "POST", "/reports", `{"title":"A","rows":0}`); res.StatusCode != 422 {
			t.Errorf("no rows: %s", res.Status)
		}
	})
}

func TestSampleOrders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := newSampleAPI(42)
		count := map[int]int{}
		for n := range 1000 {
			res, _, _ := ask(t, api, "POST", "/orders", fmt.Sprintf(`{"number":%d}`, n))
			count[res.StatusCode]++
			if res.StatusCode == 503 && res.Header.Get("Retry-After") != "1" {
				t.Error("503 without Retry-After")
			}
		}
		if count[201]+count[503]+count[422] != 1000 || count[503] < 110 || count[503] > 190 || count[422] < 10 || count[422] > 60 {
			t.Errorf("answers %v", count)
		}
	})
}

func TestSampleStory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		res, text, took := ask(t, newSampleAPI(42), "GET", "/story?words=3", "")
		if want := "data: {\"text\":\"A \"}\n\ndata: {\"text\":\"dog \"}\n\ndata: {\"text\":\"was \"}\n\ndata: [DONE]\n\n"; text != want {
			t.Errorf("got %q", text)
		}
		if took < 90*time.Millisecond || res.Header.Get("Content-Type") != "text/event-stream" {
			t.Errorf("took %s: %v", took, res.Header)
		}
	})
}

func TestSampleThumbnails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		res, text, took := ask(t, newSampleAPI(42), "POST", "/thumbnails", `{"image":"a.jpg","width":160}`)
		if res.StatusCode != 201 || text != `{"height":120,"thumbnail":"a.jpg?w=160","width":160}` {
			t.Errorf("%s %s", res.Status, text)
		}
		if took < 10*time.Millisecond || took >= 60*time.Millisecond {
			t.Errorf("took %s", took)
		}
	})
}

func TestSampleShop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := newSampleAPI(42)
		for _, c := range []struct {
			request, body string
			statuses      []int
			most          time.Duration
		}{
			{"GET /stock/7", "", []int{200}, 80 * time.Millisecond},
			{"GET /stock/0", "", []int{404}, 80 * time.Millisecond},
			{"GET /customers/7", "", []int{200}, 200 * time.Millisecond},
			{"GET /customers/0", "", []int{404}, 200 * time.Millisecond},
			{"GET /customers/x", "", []int{404}, 0},
			{"POST /invoices", `{"batch":1,"customer":2,"euros":3}`, []int{201}, 6 * time.Second},
			{"POST /invoices", `no`, []int{400}, 0},
			{"POST /mails", `{"to":"a@example.com"}`, []int{202}, 800 * time.Millisecond},
			{"GET /suppliers/north/offers/9", "", []int{200}, 1200 * time.Millisecond},
			{"GET /suppliers/south/offers/10", "", []int{404}, 2 * time.Second},
			{"GET /suppliers/south/offers/9", "", []int{200}, 2 * time.Second},
			{"GET /suppliers/west/offers/9", "", []int{200, 503}, 7 * time.Second},
			{"GET /suppliers/nobody/offers/9", "", []int{404}, 0},
			{"POST /hooks/mail", "{}", []int{204}, 200 * time.Millisecond},
			{"POST /hooks/crm", "{}", []int{204, 500}, 200 * time.Millisecond},
		} {
			method, path, _ := strings.Cut(c.request, " ")
			count := map[int]int{}
			for range 60 {
				res, _, took := ask(t, api, method, path, c.body)
				if count[res.StatusCode]++; took > c.most {
					t.Errorf("%s took %s", c.request, took)
				}
			}
			for _, status := range c.statuses {
				if count[status] == 0 {
					t.Errorf("%s never answered %d: %v", c.request, status, count)
				}
				delete(count, status)
			}
			if len(count) > 0 {
				t.Errorf("%s also answered %v", c.request, count)
			}
		}
	})
}
