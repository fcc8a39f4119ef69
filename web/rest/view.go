package rest

import "strings"

// ViewName is how the hub calls a view of a tenant, which is drawn for those of that
// tenant only.
func ViewName(tenant, name string) string { return tenant + " " + name }

// SplitView is the opposite of viewName.
func SplitView(full string) (tenant, word, of string) {
	tenant, name, _ := strings.Cut(full, " ")
	word, of, _ = strings.Cut(name, ":")
	return tenant, word, of
}
