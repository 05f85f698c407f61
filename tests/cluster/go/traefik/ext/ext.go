// Package ext stands in for Traefik's hook for extended configuration, a module
// that its published source leaves out; these two empty types are its whole
// interface.
package ext

// HTTP extends the configuration of HTTP routing by nothing.
type HTTP struct{}

// Router extends the configuration of a router by nothing.
type Router struct{}
