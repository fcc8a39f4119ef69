package docs

import (
	"bytes"
	"fmt"
	"html"
	"net/http"
	"strings"
	"time"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/renderer"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"

	"jobhub/jobs"
	"jobhub/static"
	"jobhub/web/rest"
	"jobhub/web/view"
)

// This file serves the pages for people below /docs: Markdown, and the reference of the
// API, which is drawn from openapi.json.

// docsPages are the pages, in the order of the menu.
var docsPages = []view.DocsLink{
	{Path: "/docs", Name: "Documentation"},
	{Path: "/docs/protocol", Name: "Live protocol", About: "Every event over WebSocket or SSE, with resume and without gaps. Five minutes."},
	{Path: "/docs/workers", Name: "Workers", About: "A worker in any language: three calls over HTTP, ten lines of shell, Python or Node."},
	{Path: "/docs/gateway", Name: "Gateway", About: "Put rules in front of an API: who may call it, how often, with which changes. Ten recipes."},
	{Path: "/docs/operate", Name: "Operators", About: "Keys, health, the meaning of each metric, and traces."},
	{Path: "/docs/limits", Name: "Limits", About: "The limits of the hub, and what happens above each."},
	{Path: "/docs/api", Name: "HTTP API", About: "Every request, its parameters and answers, and how to send it with curl."},
	{Path: "/docs/errors", Name: "Errors", About: "Every code, what it means and what to do about it."},
}

// docsPage is GET /docs and GET /docs/{page}.
func (s *Server) docsPage(w http.ResponseWriter, r *http.Request) error {
	pages, err := s.documents.pages()
	if err != nil {
		return err
	}
	page, ok := pages[r.URL.Path]
	if !ok {
		return jobs.NewProblem(jobs.NotFound, "No such page", "The documentation has no page %s; /docs lists those it has.", r.URL.Path)
	}
	shell := view.Shell{At: time.Now(), Asset: static.Path}
	if _, known := rest.IdentityFromContext(r.Context()); known { // others learn nothing about this hub
		shell = s.pages.Shell(r, s.Hub.Position())
	}
	return s.pages.Page(w, r, http.StatusOK, view.DocsPage(shell, page))
}

func (s *Server) readPages() (map[string]view.Docs, error) {
	pages := map[string]view.Docs{}
	for _, link := range docsPages {
		page := view.Docs{Title: link.Name, Path: link.Path, Pages: docsPages}
		if link.Path == "/docs/api" {
			api, err := s.readAPI()
			if err != nil {
				return nil, err
			}
			page.API, page.Contents = api, api.Contents()
		} else {
			name := "index"
			if link.Path != "/docs" {
				name = link.Path[len("/docs/"):]
			}
			source, err := docsFiles.ReadFile("pages/" + name + ".md")
			if err != nil {
				return nil, err
			}
			if page.HTML, page.Contents, err = markdown(strings.Replace(s.here(string(source)), limitsPlace, limitsTable(), 1)); err != nil {
				return nil, err
			}
		}
		pages[link.Path] = page
	}
	return pages, nil
}

// markdown renders a text; raw HTML in it is left out. The contents are its headings of the
// second and third level.
func markdown(source string) (page string, contents []view.Heading, err error) {
	md := goldmark.New(goldmark.WithExtensions(extension.Table),
		goldmark.WithParserOptions(parser.WithAutoHeadingID(), parser.WithAttribute()),
		goldmark.WithRendererOptions(renderer.WithNodeRenderers(util.Prioritized(&commands{}, 100))))
	data := []byte(source)
	root := md.Parser().Parse(text.NewReader(data))
	err = ast.Walk(root, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if h, ok := n.(*ast.Heading); ok && entering && h.Level > 1 {
			id, _ := h.AttributeString("id")
			name, _ := id.([]byte)
			contents = append(contents, view.Heading{ID: string(name), Name: plain(h, data), Level: h.Level})
		}
		return ast.WalkContinue, nil
	})
	if err != nil {
		return "", nil, err
	}
	var b bytes.Buffer
	err = md.Renderer().Render(&b, data, root)
	return b.String(), contents, err
}

// plain is the text of a node without its formatting.
func plain(n ast.Node, source []byte) (all string) {
	for c := n.FirstChild(); c != nil; c = c.NextSibling() {
		if t, ok := c.(*ast.Text); ok {
			all += string(t.Segment.Value(source))
		} else {
			all += plain(c, source)
		}
	}
	return all
}

// commands draws code blocks: those for a shell as commands to copy.
type commands struct{ n int }

func (c *commands) RegisterFuncs(r renderer.NodeRendererFuncRegisterer) {
	r.Register(ast.KindFencedCodeBlock, c.draw)
}

func (c *commands) draw(w util.BufWriter, source []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
	if !entering {
		return ast.WalkContinue, nil
	}
	block := n.(*ast.FencedCodeBlock)
	var code bytes.Buffer
	for i := range block.Lines().Len() {
		line := block.Lines().At(i)
		code.Write(line.Value(source))
	}
	body := html.EscapeString(string(bytes.TrimRight(code.Bytes(), "\n")))
	switch string(block.Language(source)) {
	case "text", "json":
		fmt.Fprintf(w, "<pre class=\"sample\" tabindex=\"0\"><code>%s</code></pre>\n", body)
	default:
		c.n++
		fmt.Fprintf(w, "<div class=\"command\"><pre id=\"code-%d\" tabindex=\"0\"><code>%s</code></pre><button class=\"quiet\" type=\"button\" data-copy=\"code-%[1]d\">copy</button></div>\n", c.n, body)
	}
	return ast.WalkSkipChildren, nil
}
