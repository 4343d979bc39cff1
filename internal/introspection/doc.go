// Package introspection asks authorization servers about tokens, as a Client of package
// introspect says. An [Asker] asks one issuer: it finds the endpoint, authenticates,
// sends one request for a token and reads the answer, within bounds that hold while the
// server is slow, down or flooded with junk. [Flights] share one request among all
// callers that need it.
//
// It decides nothing about access: package validator judges what an active answer says.
package introspection
