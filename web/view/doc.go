// Package view renders the dashboard.
//
// A page is a full document; its live parts are fragments, each one element with a
// stable id. The page and the live updates render the very same components, so that a
// patched page and a reloaded one are equal. Fragments are viewer-neutral: the same
// bytes go to everybody who looks, and what depends on the viewer (relative times, time
// zone, theme) is left to the browser. What is not known is a dash, never a zero.
package view
