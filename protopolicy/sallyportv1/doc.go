// Package sallyportv1 is sallyport/v1/policy.proto in Go. Code that is generated from
// a .proto file with policies imports it. Package protopolicy reads the options.
package sallyportv1
