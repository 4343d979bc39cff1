// Package migrating holds the code of docs/migrating.md: the same API with other libraries
// and with Sallyport. Its tests send the same requests to all of them, and the document has
// the table of the answers.
package migrating
