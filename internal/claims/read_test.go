package claims_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/internal/claims"
	"github.com/sallyport-auth/sallyport/internal/strictjson"
)

// value parses text as the member of an object.
func value(t *testing.T, text string) strictjson.Value {
	t.Helper()
	members, err := strictjson.ParseObject(`{"x":`+text+`}`, strictjson.TokenLimits, nil)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return members[0].Value
}

// check compares what a reader returned with what a row of a table wants.
func check[T any](t *testing.T, text string, got T, err error, want T, wantErr error, equal func(a, b T) bool) {
	t.Helper()
	if !errors.Is(err, wantErr) || (err == nil) != (wantErr == nil) {
		t.Errorf("%s: error %v, want %v", text, err, wantErr)
	}
	if !equal(got, want) {
		t.Errorf("%s: %v, want %v", text, got, want)
	}
}

func same[T comparable](a, b T) bool { return a == b }

// TestText covers R-CL-12: identifiers are strings with content and without
// control characters.
func TestText(t *testing.T) {
	for _, row := range []struct {
		text, want string
		err        error
	}{
		{`"a"`, "a", nil},
		{`" "`, " ", nil},
		{`"é"`, "é", nil},
		{`"\u00e9\/"`, "é/", nil},
		{`""`, "", claims.ErrType},
		{`null`, "", claims.ErrType},
		{`1`, "", claims.ErrType},
		{`true`, "", claims.ErrType},
		{`["a"]`, "", claims.ErrType},
		{`{}`, "", claims.ErrType},
		{`"a\n"`, "", claims.ErrControl},
		{`"\u0000"`, "", claims.ErrControl},
		{`"` + "\x7f" + `"`, "", claims.ErrControl},
		{`"é` + "\u0085" + `"`, "", claims.ErrControl},
	} {
		got, err := claims.Text(value(t, row.text))
		check(t, row.text, got, err, row.want, row.err, same)
	}
	if _, err := claims.Text(strictjson.Value{}); !errors.Is(err, claims.ErrType) {
		t.Errorf("absent: %v", err)
	}
}

func TestTexts(t *testing.T) {
	for _, row := range []struct {
		text     string
		want     []string
		err      error
		audience []string
		audErr   error
	}{
		{text: `["a","b"]`, want: []string{"a", "b"}, audience: []string{"a", "b"}},
		{text: `["a","a"]`, want: []string{"a", "a"}, audience: []string{"a", "a"}},
		{text: `[]`, want: []string{}, audience: []string{}},
		{text: `"a"`, err: claims.ErrType, audience: []string{"a"}},
		{text: `""`, err: claims.ErrType, audErr: claims.ErrType},
		{text: `"\t"`, err: claims.ErrType, audErr: claims.ErrControl},
		{text: `{}`, err: claims.ErrType, audErr: claims.ErrAudienceType},
		{text: `null`, err: claims.ErrType, audErr: claims.ErrAudienceType},
		{text: `1`, err: claims.ErrType, audErr: claims.ErrAudienceType},
		{text: `["a",""]`, err: claims.ErrType, audErr: claims.ErrType},
		{text: `["a",1]`, err: claims.ErrType, audErr: claims.ErrType},
		{text: `["a",["b"]]`, err: claims.ErrType, audErr: claims.ErrType},
		{text: `["a","\n"]`, err: claims.ErrControl, audErr: claims.ErrControl},
	} {
		v := value(t, row.text)
		got, err := claims.Texts(v)
		check(t, row.text, got, err, row.want, row.err, slices.Equal)
		check(t, row.text, 0, claims.CheckTexts(v), 0, row.err, same)
		check(t, row.text+" as aud", 0, claims.CheckAudience(v), 0, row.audErr, same)
		if row.audErr == nil {
			check(t, row.text+", each", slices.Collect(claims.Each(v)), nil, row.audience, nil, slices.Equal)
		}
		if row.err == nil && got == nil {
			t.Errorf("%s: nil, which reads as absent", row.text)
		}
	}
	for text := range claims.Each(value(t, `["a","b"]`)) {
		if text == "b" {
			t.Error("goes on after break")
		}
		break
	}
	for range claims.Each(strictjson.Value{}) {
		t.Error("an absent claim has an element")
	}
}

func TestDate(t *testing.T) {
	for _, row := range []struct {
		text string
		want time.Time
		err  error
	}{
		{`0`, time.Unix(0, 0), nil},
		{`1700000000`, time.Unix(1700000000, 0), nil},
		{`1.5`, time.Unix(1, 500000000), nil},
		{`"1700000000"`, time.Time{}, claims.ErrDate},
		{`-1`, time.Time{}, claims.ErrDate},
		{`1e400`, time.Time{}, claims.ErrDate},
		{`null`, time.Time{}, claims.ErrDate},
	} {
		got, err := claims.Date(value(t, row.text))
		check(t, row.text, got, err, row.want, row.err, time.Time.Equal)
	}
	if _, err := claims.Date(strictjson.Value{}); !errors.Is(err, claims.ErrDate) {
		t.Errorf("absent: %v", err)
	}
}

func TestBoolean(t *testing.T) {
	for _, row := range []struct {
		text string
		want bool
		err  error
	}{
		{`true`, true, nil},
		{`false`, false, nil},
		{`"true"`, false, claims.ErrType},
		{`1`, false, claims.ErrType},
		{`null`, false, claims.ErrType},
	} {
		got, err := claims.Boolean(value(t, row.text))
		check(t, row.text, got, err, row.want, row.err, same)
	}
	if _, err := claims.Boolean(strictjson.Value{}); !errors.Is(err, claims.ErrType) {
		t.Errorf("absent: %v", err)
	}
}

func TestObject(t *testing.T) {
	members, err := claims.Object(value(t, `{"a":1,"b":{"c":2}}`), nil)
	if err != nil || len(members) != 2 || claims.Lookup(members, "b").Raw() != `{"c":2}` || claims.Lookup(members, "c").Raw() != "" {
		t.Errorf("%v, %v", members, err)
	}
	var room [4]strictjson.Member
	kept, err := claims.Object(value(t, `{"a":1}`), room[:0])
	if err != nil || &kept[0] != &room[0] {
		t.Errorf("the caller's room is not used, %v", err)
	}
	var each []string
	for i := range 257 {
		each = append(each, fmt.Sprintf("\"n%d\":0", i))
	}
	many := "{" + strings.Join(each, ",") + "}"
	for _, text := range []string{`[]`, `"{}"`, `null`, `1`} {
		if _, err := claims.Object(value(t, text), nil); !errors.Is(err, claims.ErrObject) {
			t.Errorf("%s: %v", text, err)
		}
	}
	wide, err := strictjson.ParseObject(`{"x":`+many+`}`, strictjson.Limits{Depth: 4, Members: 1000}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if members, err := claims.Object(wide[0].Value, nil); err != nil || len(members) != 257 { // its document is within its limits
		t.Errorf("257 members: %d, %v", len(members), err)
	}
	if _, err := claims.Object(strictjson.Value{}, nil); !errors.Is(err, claims.ErrObject) {
		t.Errorf("absent: %v", err)
	}
}

// TestScope covers the grammar of RFC 6749 §3.3.
func TestScope(t *testing.T) {
	for _, row := range []struct {
		text, want string
		err        error
	}{
		{`"a"`, "a", nil},
		{`"a b"`, "a b", nil},
		{`""`, "", nil},
		{`"orders:read !#[]~"`, "orders:read !#[]~", nil},
		{`" "`, "", claims.ErrScope},
		{`" a"`, "", claims.ErrScope},
		{`"a "`, "", claims.ErrScope},
		{`"a  b"`, "", claims.ErrScope},
		{`"a\tb"`, "", claims.ErrScope},
		{`"a\""`, "", claims.ErrScope},
		{`"a\\"`, "", claims.ErrScope},
		{`"é"`, "", claims.ErrScope},
		{`["a"]`, "", claims.ErrType},
		{`null`, "", claims.ErrType},
	} {
		got, err := claims.Scope(value(t, row.text))
		check(t, row.text, got, err, row.want, row.err, same)
	}
}

// TestIsScopeToken covers the grammar of a single scope token.
func TestIsScopeToken(t *testing.T) {
	for text, want := range map[string]bool{"a": true, "orders:read": true, "!#[]~": true, "": false, "a b": false, `a"`: false, `\`: false, "é": false, "\x7f": false} {
		if claims.IsScopeToken(text) != want {
			t.Errorf("%q: not %v", text, want)
		}
	}
}
