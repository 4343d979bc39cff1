package validator_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestFarExpiry (R-CL-10): an exp after the year 9999 is accepted, and can be logged and
// explained.
func TestFarExpiry(t *testing.T) {
	v := issuertest.Validator(t, baseConfig())
	for raw, want := range map[string]string{
		"253402300799":     `"exp":"` + time.Unix(253402300799, 0).Format(time.RFC3339) + `"`,
		"253402400000":     `"exp":253402400000`,
		"9007199254740992": `"exp":9007199254740992`,
	} {
		if raw == "253402300799" && time.Unix(253402300799, 0).Year() > 9999 {
			continue // the zone is east of Greenwich
		}
		p := bearer(testKey.token(baseClaims.with("exp", raw)))
		token := cached(at(0), t, v, p)
		if got := fmt.Sprint(token.Expiry().Unix()); got != raw {
			t.Errorf("Expiry is %s, want %s", got, raw)
		}
		var text bytes.Buffer
		slog.New(slog.NewJSONHandler(&text, nil)).Info("seen", "token", token)
		if !strings.Contains(text.String(), want) || strings.Contains(text.String(), "ERROR") || !json.Valid(text.Bytes()) {
			t.Errorf("logged as %s, want %s", text.String(), want)
		}
		if got := fmt.Sprint(token); !strings.Contains(got, "exp="+raw) {
			t.Errorf("printed as %s", got)
		}
		marshalled, err := json.Marshal(token)
		if err != nil || !strings.Contains(string(marshalled), "exp="+raw) {
			t.Errorf("marshalled as %s, %v", marshalled, err)
		}
		for _, judged := range v.Explain(at(0), p, v.Inspect(at(0), p)) {
			if judged.Check == "expiry" && judged.Found != "exp "+raw+", in more than 292 years" {
				t.Errorf("explained as %q", judged.Found)
			}
		}
		if err := token.Meets(at(0), validator.Demands{MaxLifetime: time.Hour}); validator.ReasonOf(err) != validator.BadClaims ||
			!strings.Contains(fmt.Sprint(causeOf(err)), "found exp − iat more than 292 years; wanted at most 3600 s") {
			t.Errorf("Meets: %v: %v", err, causeOf(err))
		}
	}
	expect(t, v, bearer(testKey.token(baseClaims.with("nbf", "9007199254740992"))), 0, validator.NotYetValid, "nbf 9007199254740992, more than 292 years ahead")
}

// TestLargeNumbers: numbers in claims keep their digits.
func TestLargeNumbers(t *testing.T) {
	const large, beyond = "18446744073709551615", "340282366920938463463374607431768211457"
	token := expect(t, issuertest.Validator(t, baseConfig()), bearer(testKey.token(baseClaims.with("id", large).with("big", beyond).with("level", "3"))), 0, "", "")
	var dst struct {
		ID    uint64      `json:"id"`
		Big   *big.Int    `json:"big"`
		Level json.Number `json:"level"`
		Exp   int64       `json:"exp"`
	}
	if err := token.Claims(&dst); err != nil || fmt.Sprintf("%d %d %s %d", dst.ID, dst.Big, dst.Level, dst.Exp) != large+" "+beyond+" 3 1700003600" {
		t.Errorf("%+v, %v", dst, err)
	}
	var all map[string]any
	if err := token.Claims(&all); err != nil || all["id"] != json.Number(large) || all["big"] != json.Number(beyond) || all["level"] != 3.0 || all["exp"] != 1700003600.0 {
		t.Errorf("%v, %v", all, err)
	}
}
