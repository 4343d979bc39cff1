package validator_test

import (
	"crypto/sha256"
	"testing"

	"github.com/sallyport-auth/sallyport/validator"
)

func BenchmarkRepeat(b *testing.B) {
	v, err := validator.New(baseConfig())
	if err != nil {
		b.Fatal(err)
	}
	p := bearer(testKey.token(baseClaims.with("pad", `"`+string(make([]byte, 0))+`aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"`)))
	ctx := at(0)
	if _, err := v.Validate(ctx, p); err != nil {
		b.Fatal(err)
	}
	b.Logf("%d bytes", len(p.Token))
	b.Run("sha256", func(b *testing.B) {
		text := []byte(p.Token)
		b.ReportAllocs()
		for b.Loop() {
			sha256.Sum256(text)
		}
	})
	b.Run("validate", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = v.Validate(ctx, p)
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				_, _ = v.Validate(ctx, p)
			}
		})
	})
}
