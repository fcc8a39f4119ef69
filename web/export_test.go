package web

// Render is what the hub draws views with.
var Render = (*Server).render
