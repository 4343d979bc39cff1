package validator_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestForbiddenKeyLine checks that the line about an issuer whose only key is forbidden does
// not call the set empty, and that the cause of a refusal says that the key is forbidden.
func TestForbiddenKeyLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := issuertest.New(t)
		v, j := logged(t, is)
		ctx, cancel := context.WithCancel(t.Context())
		ran := make(chan error)
		go func() { ran <- v.Run(ctx) }()
		j.want(t, "at the start", "INFO issuer configured", "INFO the keys of the issuer were fetched")
		if err := v.ForbidKey(ctx, is.URL(), jwkscache.KeyName{KeyID: "key-1"}); err != nil {
			t.Fatal(err)
		}
		_, err := v.Validate(ctx, validator.Presentation{Scheme: validator.Bearer, Token: is.Sign(testissuer.Token{})})
		if cause := errors.Unwrap(err); cause == nil || !strings.Contains(cause.Error(), "which has none that can be used; all keys of the kid are forbidden") {
			t.Errorf("cause %v", cause)
		}
		time.Sleep(10*time.Minute + time.Second)
		cancel()
		if err := <-ran; err != nil {
			t.Error(err)
		}
		lines := strings.Join(j.next(), "\n")
		if !strings.Contains(lines, "its keys are forbidden") || !strings.Contains(lines, "publish a new key") || strings.Contains(lines, "not_used") {
			t.Errorf("lines\n%s", lines)
		}
	})
}
