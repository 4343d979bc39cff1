// Package interop tests Sallyport against real authorization servers. It contains only
// tests and their fixtures. It is a module of its own, so that the root module does not
// depend on the servers. README.md says how each server is run.
package interop
