package clock_test

import (
	"context"
	"encoding/json"
	"math"
	"math/big"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/clock"
)

// TestNumericDate covers R-CL-10: which literals are dates, and that none
// overflows.
func TestNumericDate(t *testing.T) {
	const limit = 1 << 53
	tests := []struct {
		literal string
		seconds int64
		nanos   int64
		refused bool
	}{
		{literal: "0"},
		{literal: "1", seconds: 1},
		{literal: "1700000000", seconds: 1700000000},
		{literal: "1.5e9", seconds: 1500000000},
		{literal: "1.5E+9", seconds: 1500000000},
		{literal: "15000000000e-1", seconds: 1500000000},
		{literal: "1700000000.0", seconds: 1700000000},
		{literal: "1700000000.5", seconds: 1700000000, nanos: 5e8},
		{literal: "1700000000.25", seconds: 1700000000, nanos: 25e7},
		{literal: "0.5", nanos: 5e8},
		{literal: "0.0"},
		{literal: "0e1000000000"},
		{literal: "1e-400"},
		{literal: "1e-1000000000"},
		{literal: "4294967296", seconds: 1 << 32},
		{literal: "9007199254740991", seconds: limit - 1},
		{literal: "9007199254740992", seconds: limit},
		{literal: "9007199254740992.0", seconds: limit},
		{literal: "9007199254740992e0", seconds: limit},

		{literal: "9007199254740993", refused: true},
		{literal: "9007199254740994.0", refused: true},
		{literal: "9.007199254740994e15", refused: true},
		{literal: "9223372036854775807", refused: true},
		{literal: "9223372036854775808", refused: true},
		{literal: "9e18", refused: true},
		{literal: "1e19", refused: true},
		{literal: "18446744073709551616", refused: true},
		{literal: "18446744075409551616", refused: true}, // 2^64 + 1700000000
		{literal: "1844674407370955161600000000001700000000", refused: true},
		{literal: "1e300", refused: true},
		{literal: "1e400", refused: true},
		{literal: "1e1000000000", refused: true},
		{literal: strings.Repeat("9", 1000), refused: true},
		{literal: "1" + strings.Repeat("9", 4068) + "e-1660", refused: true}, // which Go 1.26 reads as 0
		{literal: "1700000000." + strings.Repeat("0", 489), seconds: 1700000000},
		{literal: "1700000000." + strings.Repeat("0", 490), refused: true},
		{literal: "-0", refused: true},
		{literal: "-0.0", refused: true},
		{literal: "-1", refused: true},
		{literal: "-1.5e9", refused: true},
		{literal: "-1e-400", refused: true},
		{literal: "-9223372036854775809", refused: true},
		{literal: "-1e400", refused: true},
		{literal: "", refused: true},
		// Not JSON, and refused all the same.
		{literal: "NaN", refused: true},
		{literal: "Infinity", refused: true},
		{literal: "inf", refused: true},
		{literal: `"1700000000"`, refused: true},
		{literal: "true", refused: true},
		{literal: "+1", refused: true},
		{literal: "1x", refused: true},
		{literal: "1700000000 ", refused: true},
		{literal: " 1", refused: true},
	}
	for _, tt := range tests {
		got, ok := clock.NumericDate(tt.literal)
		if ok == tt.refused {
			t.Errorf("NumericDate(%.50s) = %v, %v", tt.literal, got, ok)
			continue
		}
		if ok && !got.Equal(time.Unix(tt.seconds, tt.nanos)) {
			t.Errorf("NumericDate(%.50s) = %v, want %v", tt.literal, got, time.Unix(tt.seconds, tt.nanos))
		}
	}
}

// FuzzNumericDate compares NumericDate with exact arithmetic (R-CL-10): what it
// accepts is between 0 and 2^53, with an error below a microsecond for the next two
// centuries; what it refuses is negative or larger.
func FuzzNumericDate(f *testing.F) {
	for _, seed := range []string{
		"0", "-0", "1", "1700000000", "1700000000.123456789", "1.5e9", "-1.5e9", "0.1", "1e-7", "9007199254740992", "9007199254740993",
		"9007199254740992.5", "9223372036854775808", "1e400", "1e-400", "18446744075409551616", "8589934591.999999999", "1E+10", "null", "x",
	} {
		f.Add(seed)
	}
	f.Add("1" + strings.Repeat("9", 4068) + "e-1660")
	limit := new(big.Rat).SetInt64(1 << 53)
	f.Fuzz(func(t *testing.T, literal string) {
		if !json.Valid([]byte(literal)) || strings.Trim(literal, "-+.eE0123456789") != "" {
			t.Skip("no JSON number")
		}
		if i := strings.IndexAny(literal, "eE"); i >= 0 && len(strings.TrimLeft(literal[i+1:], "+-0")) > 4 {
			t.Skip("the exponent is too large for exact arithmetic; TestNumericDate has such rows")
		}
		exact, ok := new(big.Rat).SetString(literal)
		if !ok {
			t.Fatalf("math/big does not read %s", literal)
		}
		got, ok := clock.NumericDate(literal)
		if !ok {
			if literal[0] != '-' && len(literal) <= 500 && exact.Cmp(limit) <= 0 {
				t.Errorf("%s is refused", literal)
			}
			return
		}
		// A fraction beyond 2^53 is rounded to a float64 first.
		if beyond := new(big.Rat).Sub(exact, limit); literal[0] == '-' || beyond.Cmp(big.NewRat(1, 1)) > 0 {
			t.Errorf("%s is accepted", literal)
		}
		if seconds := got.Unix(); seconds < 0 || seconds > 1<<53 {
			t.Errorf("%s is %d seconds", literal, seconds)
		}
		result := new(big.Rat).SetInt64(got.Unix())
		result.Add(result, big.NewRat(int64(got.Nanosecond()), 1e9))
		approximate, _ := exact.Float64()
		// Half of the last bit of a float64, and the nanosecond that is cut off.
		tolerance := max(1e-6, approximate*0x1p-53+1e-9)
		if approximate < 1<<33 && tolerance != 1e-6 {
			t.Fatalf("tolerance %v for %s", tolerance, literal)
		}
		difference, _ := result.Sub(result, exact).Float64()
		if math.Abs(difference) > tolerance {
			t.Errorf("%s is %v, off by %v s", literal, got, difference)
		}
	})
}

func TestNow(t *testing.T) {
	instant := time.Date(2026, 8, 1, 12, 0, 0, 5, time.UTC)
	ctx := clock.At(t.Context(), instant)
	if got := clock.Now(ctx); !got.Equal(instant) {
		t.Errorf("Now = %v, want %v", got, instant)
	}
	derived, cancel := context.WithCancel(ctx)
	defer cancel()
	if got := clock.Now(clock.At(derived, instant.Add(time.Hour))); !got.Equal(instant.Add(time.Hour)) {
		t.Errorf("the inner instant is %v", got)
	}
	if got := clock.Now(derived); !got.Equal(instant) {
		t.Errorf("a derived context has %v", got)
	}
	if got := clock.Now(clock.At(ctx, time.Time{})); !got.IsZero() {
		t.Errorf("the zero instant is %v", got)
	}
	synctest.Test(t, func(t *testing.T) {
		if got := clock.Now(t.Context()); !got.Equal(time.Now()) {
			t.Errorf("Now = %v, want %v", got, time.Now())
		}
	})
}

// TestOr checks that an instant set by At takes precedence over the time that the
// caller has read, whatever the instant is.
func TestOr(t *testing.T) {
	read := time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)
	if got := clock.Or(t.Context(), read); !got.Equal(read) {
		t.Errorf("without an instant, Or = %v, want %v", got, read)
	}
	for _, instant := range []time.Time{read.Add(time.Hour), {}} {
		if got := clock.Or(clock.At(t.Context(), instant), read); !got.Equal(instant) {
			t.Errorf("Or = %v, want %v", got, instant)
		}
	}
}

// TestAlone checks that Alone keeps the instant and nothing else of a context.
func TestAlone(t *testing.T) {
	type key struct{}
	ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, 1))
	cancel()
	instant := time.Unix(7, 0)
	for name, ctx := range map[string]context.Context{"without": ctx, "with": clock.At(ctx, instant)} {
		alone := clock.Alone(ctx)
		if alone.Value(key{}) != nil || alone.Err() != nil {
			t.Errorf("%s an instant: a value or the end is left", name)
		}
		if got := clock.Now(alone); (name == "with") != got.Equal(instant) {
			t.Errorf("%s an instant: %v", name, got)
		}
	}
}
