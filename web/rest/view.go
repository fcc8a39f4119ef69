package rest

import "strings"

// ViewName returns the name under which the hub knows a live view of a tenant.
func ViewName(tenant, name string) string { return tenant + " " + name }

// SplitView is the inverse of ViewName. It also splits the name into the kind of view and
// what it shows: "job:ID" into "job" and "ID".
func SplitView(full string) (tenant, kind, subject string) {
	tenant, name, _ := strings.Cut(full, " ")
	kind, subject, _ = strings.Cut(name, ":")
	return tenant, kind, subject
}
