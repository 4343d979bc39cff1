// Package alertrules has the tests of the alert rules in the folder alerts, and of their
// runbooks in docs/runbooks.
package alertrules
