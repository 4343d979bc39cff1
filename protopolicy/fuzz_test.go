package protopolicy_test

import (
	"testing"

	"github.com/sallyport-auth/sallyport/protopolicy"
)

// FuzzOption shows that an option with any content gives a policy without a fault, or an
// error, and never no policy.
func FuzzOption(f *testing.F) {
	for _, seed := range []string{"", "\x08\x01", "\x22\x01a", "\x22\x01a\x52\x02\x08\x3c", "\x72\x03\x22\x01a", "\x22\x7f", "\xb0\x06\x01"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		got, err := protopolicy.Methods(service(t, absent, method{name: "Get", options: unread(bytesField(optionNumber, content))}))
		policy, found := got["/test.v1.Orders/Get"]
		if (err == nil) != found || found && policy.Err() != nil {
			t.Errorf("%x: %v, %v", content, got, err)
		}
	})
}
