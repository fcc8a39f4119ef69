package view

import "strings"

// Docs is a page of the documentation: Markdown that has been rendered, or the API.
type Docs struct {
	Title, Path string
	HTML        string
	API         *API
	Contents    []Heading
	Pages       []DocsLink
}

// DocsLink is a page in the list of pages.
type DocsLink struct{ Path, Name, About string }

// Heading is a place in a page.
type Heading struct {
	ID, Name string
	Level    int
}

// API is the model of the page of the API. Members with HTML in their names are rendered texts.
type API struct {
	HTML    string
	Groups  []APIGroup
	Schemas []APISchema
}

// APIGroup is the operations of one tag.
type APIGroup struct {
	Name, HTML string
	Operations []APIOperation
}

// APIOperation is one method of one path.
type APIOperation struct {
	ID, Method, Path, Summary, HTML string
	Parameters                      []APIMember
	Bodies                          []APIBody
	Answers                         []APIAnswer
	Examples                        []APIExample
}

// APIMember is a parameter, a header, or a member of an object.
type APIMember struct {
	Name, In string
	Type     APIType
	Required bool
	HTML     string
}

// APIType is a type in words; Schema names the schema that it leads to.
type APIType struct{ Text, Schema string }

// APIBody is a body that an operation takes. With a named schema it has no members.
type APIBody struct {
	Media   string
	Type    APIType
	Members []APIMember
}

// APIAnswer is what an operation may answer.
type APIAnswer struct {
	Status, HTML, Media string
	Type                APIType
	Headers, Members    []APIMember
}

// APIExample is a call and its answer.
type APIExample struct{ Name, Command, Status, Answer string }

// APISchema is a schema with a name.
type APISchema struct {
	Name, HTML string
	Type       APIType
	Members    []APIMember
}

// Contents are the groups and operations of the API.
func (a *API) Contents() (all []Heading) {
	for _, g := range a.Groups {
		all = append(all, Heading{g.id(), g.Name, 2})
		for _, o := range g.Operations {
			all = append(all, Heading{o.ID, o.Summary, 3})
		}
	}
	return append(all, Heading{"schemas", "Schemas", 2})
}

func (g APIGroup) id() string { return "group-" + strings.ToLower(g.Name) }

func (o APIOperation) verb() string { return strings.ToLower(o.Method) }

func (e APIExample) id(o APIOperation) string { return "curl-" + o.ID + "-" + e.Name }

// class is good, bad or neither.
func (a APIAnswer) class() string {
	switch {
	case a.Status < "3":
		return "good"
	case a.Status < "4":
		return ""
	}
	return "bad"
}
