package catalog

import (
	"context"

	"jobhub/jobs"
	"jobhub/web/auth"
	"jobhub/web/gateway/openapi"
	"jobhub/web/rest"
)

// Diff compares a version with a document that might replace its own.
func (c *Catalog) Diff(ctx context.Context, who *auth.Identity, api, version string, document []byte) (openapi.Comparison, error) {
	v, err := c.Version(who, api, version)
	if err != nil {
		return openapi.Comparison{}, err
	}
	if len(document) > rest.MaxOpenAPI {
		return openapi.Comparison{}, tooLargeDocument()
	}
	next, err := openapi.Parse(document)
	if err != nil {
		return openapi.Comparison{}, err
	}
	old, err := v.Document()
	if err != nil {
		return openapi.Comparison{}, err
	}
	return c.diff(ctx, old, next)
}

// diff compares two documents, when it is its turn.
func (c *Catalog) diff(ctx context.Context, old, next *openapi.Document) (openapi.Comparison, error) {
	select {
	case c.diffs <- struct{}{}:
		defer func() { <-c.diffs }()
		return openapi.Diff(old, next)
	case <-ctx.Done():
		return openapi.Comparison{}, context.Cause(ctx)
	}
}

// comparisons keeps what was compared, for a change that is made again.
type comparisons struct {
	*Catalog
	done map[[2]*openapi.Document]openapi.Comparison
}

func (c *Catalog) comparisons() *comparisons {
	return &comparisons{c, map[[2]*openapi.Document]openapi.Comparison{}}
}

// maxNamed is how many breaking changes an answer names.
const maxNamed = 100

// refuseBreaking returns a problem if the document of next breaks callers of old.
func (c *comparisons) refuseBreaking(ctx context.Context, old, next *Version, what string) error {
	if old.OpenAPI == next.OpenAPI {
		return nil
	}
	before, err := old.Document()
	if err != nil {
		return err
	}
	after, err := next.Document()
	if err != nil {
		return err
	}
	pair := [2]*openapi.Document{before, after}
	diff, known := c.done[pair]
	if !known {
		if diff, err = c.diff(ctx, before, after); err != nil {
			return err
		}
		c.done[pair] = diff
	}
	if len(diff.Breaking) == 0 {
		return nil
	}
	p := jobs.NewProblem(jobs.Conflict, "Breaking change", "The document breaks callers of %s in %d places; see errors. Make it compatible, or make a new version.", old.FullName(), len(diff.Breaking))
	if old.Name != next.Name {
		p.Detail = next.FullName() + " has the same major number as " + old.FullName() + ", and breaks its callers; see errors. Make it compatible, or give it another major number, like v2."
	}
	for _, b := range diff.Breaking[:min(len(diff.Breaking), maxNamed)] {
		pointer := "/openapi"
		if what == "publish" {
			pointer = ""
		}
		p.Errors = append(p.Errors, jobs.MemberError{Pointer: pointer, Detail: b.Method + " " + b.Path + ": " + b.Text})
	}
	return p
}

// checkMajor compares a version that is to be published with the newest one before it of the same
// major number.
func (c *comparisons) checkMajor(ctx context.Context, next *Version) error {
	n, ok := major(next.Name)
	if !ok {
		return nil
	}
	var before *Version
	for _, v := range next.API.Versions { // in order
		if m, ok := major(v.Name); ok && m == n && (v.State == Published || v.State == Deprecated) && compareVersions(v.Name, next.Name) < 0 {
			before = v
		}
	}
	if before == nil {
		return nil
	}
	return c.refuseBreaking(ctx, before, next, "publish")
}
