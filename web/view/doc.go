// Package view renders the dashboard.
//
// A page is a full document; its live parts are fragments, each one element with a
// stable id. The page and the live updates render the very same components, so that a
// patched page and a reloaded one are equal. All viewers get the same bytes of a fragment;
// the browser adds what depends on the viewer (relative times, time zone, theme). An unknown
// value is shown as a dash, never as a zero.
package view
