package limit

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"

	"jobhub/jobs"
)

// Documents is where a DocumentStore keeps its counts: engine.Documents.
type Documents interface {
	List(ctx context.Context, tenant, kind string) ([]jobs.Document, error)
	Put(ctx context.Context, changes ...*jobs.DocumentChange) error
}

// documentKind is the kind of the documents with counts, one for each QuotaKey.
const documentKind = "quota"

// DocumentStore keeps the counts of quotas as documents beside the jobs. No other process may
// change them meanwhile.
type DocumentStore struct {
	documents Documents

	mu     sync.Mutex            // held during a call, as a Limiter makes one at a time
	stored map[string]jobs.Value // data by name; nil before they are read
}

// NewDocumentStore returns a store over documents.
func NewDocumentStore(d Documents) *DocumentStore { return &DocumentStore{documents: d} }

// countDocument is the JSON of a document.
type countDocument struct {
	End  int64 `json:"end"` // of the window, in Unix seconds
	Used int64 `json:"used"`
}

// name returns the name of a key's document.
func (k QuotaKey) name() string {
	return strings.Join([]string{k.Scope, k.Window.String(), string(k.Per), k.ID}, "|")
}

// Load implements QuotaStore.
func (s *DocumentStore) Load(ctx context.Context, keys []QuotaKey) (counts []Count, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.readLocked(ctx); err != nil {
		return nil, err
	}
	for _, key := range keys {
		data, found := s.stored[key.name()]
		if !found {
			continue
		}
		var c countDocument
		if err := json.Unmarshal(data, &c); err != nil {
			return nil, fmt.Errorf("the stored count of %s: %w", key.name(), err)
		}
		counts = append(counts, Count{key, time.Unix(c.End, 0), c.Used})
	}
	return counts, nil
}

// readLocked reads all counts once, and deletes those whose window has ended.
func (s *DocumentStore) readLocked(ctx context.Context) error {
	if s.stored != nil {
		return nil
	}
	all, err := s.documents.List(ctx, "", documentKind)
	if err != nil {
		return err
	}
	stored := make(map[string]jobs.Value, len(all))
	var ended []*jobs.DocumentChange
	for _, d := range all {
		var c countDocument
		if json.Unmarshal(d.Data, &c) == nil && c.End <= time.Now().Unix() && len(ended) < maxCounts {
			ended = append(ended, &jobs.DocumentChange{Document: jobs.Document{Tenant: d.Tenant, Kind: d.Kind, Name: d.Name}, Was: d.Data})
			continue
		}
		stored[d.Name] = d.Data
	}
	if err := s.documents.Put(ctx, ended...); err != nil {
		return err
	}
	s.stored = stored
	return nil
}

// Save implements QuotaStore. After an error it reads the counts again, so that it knows what is
// stored.
func (s *DocumentStore) Save(ctx context.Context, counts []Count) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.readLocked(ctx); err != nil {
		return err
	}
	changes := make([]*jobs.DocumentChange, len(counts))
	for i, c := range counts {
		data, err := json.Marshal(countDocument{c.End.Unix(), c.Used})
		if err != nil {
			return err
		}
		name := c.name()
		changes[i] = &jobs.DocumentChange{Document: jobs.Document{Tenant: jobs.DefaultTenant, Kind: documentKind, Name: name, Data: data}, Was: s.stored[name]}
	}
	if err := s.documents.Put(ctx, changes...); err != nil {
		s.stored = nil
		return err
	}
	for _, change := range changes {
		s.stored[change.Name] = change.Data
	}
	return nil
}
