package validator

import (
	"testing"

	"github.com/sallyport-auth/sallyport/internal/strictjson"
)

// TestSameConfirmation compares cnf of a JWT and of an answer about it. What cannot be read is never the same.
func TestSameConfirmation(t *testing.T) {
	for _, row := range []struct {
		name, jwt, answer string
		want              bool
	}{
		{"the same", `{"jkt":"a","kid":"b"}`, `{"kid":"b","jkt":"a"}`, true},
		{"the same jwk", `{"jwk":{"kty":"EC"}}`, `{"jwk":{"kty":"EC"}}`, true},
		{"both empty", `{}`, `{}`, false},
		{"neither can be read", `1`, `1`, false},
		{"another value", `{"jkt":"a"}`, `{"jkt":"b"}`, false},
		{"another member", `{"jkt":"a"}`, `{"kid":"a"}`, false},
		{"another member without a value", `{"jkt":""}`, `{"kid":"a"}`, false},
		{"fewer members in the answer", `{"jkt":"a","kid":"b"}`, `{"jkt":"a"}`, false},
		{"more members in the answer", `{"jkt":"a"}`, `{"jkt":"a","kid":"b"}`, false},
	} {
		if got := sameConfirmation(confirmationOf(t, row.jwt), confirmationOf(t, row.answer)); got != row.want {
			t.Errorf("%s: %t, want %t", row.name, got, row.want)
		}
	}
}

// confirmationOf reads the JSON of cnf.
func confirmationOf(t *testing.T, cnf string) confirmation {
	t.Helper()
	var c tokenClaims
	if refused := new(checkedIssuer).readMembers(&c, parsed(t, `{"cnf":`+cnf+`}`), false, nil); refused != nil {
		t.Fatal(refused)
	}
	return c.confirmation
}

// TestAnswerWithTheBindingOfTheJWT: an answer about a JWT may repeat its cnf, and may not have another one.
func TestAnswerWithTheBindingOfTheJWT(t *testing.T) {
	jwt := &tokenClaims{isBound: true, confirmation: confirmationOf(t, `{"jkt":"a"}`)}
	for cnf, want := range map[string]*Error{`{"jkt":"a"}`: nil, `{"jkt":"b"}`: errAnswerBinding} {
		said := &tokenClaims{isBound: true, confirmation: confirmationOf(t, cnf)}
		if refused := checkSameParties(jwt, said, []strictjson.Member{}); refused != want {
			t.Errorf("%s: %v, want %v", cnf, refused, want)
		}
	}
}

// TestFactsOfDPoP: a token of the DPoP scheme without cnf is refused as a bearer token only.
func TestFactsOfDPoP(t *testing.T) {
	f := &facts{isDPoP: true}
	if refused := f.checkSender(&Presentation{Scheme: Bearer}); refused != errDPoPOnly {
		t.Errorf("as a bearer token: %v", refused)
	}
	if refused := f.checkSender(&Presentation{Scheme: DPoP}); refused != nil {
		t.Errorf("by DPoP: %v", refused)
	}
}
