package validator

import (
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/internal/clock"
)

// TestBoundFacts checks that facts with a cnf hold for nobody who presents the
// token: also from the cache, and whatever cnf says.
func TestBoundFacts(t *testing.T) {
	f := &facts{}
	for _, doc := range []string{`{"cnf":{"jkt":"x"}}`, `{"cnf":{}}`, `{"cnf":null}`, `{"cnf":1}`, `{"cnf":{"jkt":1}}`} {
		f.claims = tokenClaims{}
		if refused := new(checkedIssuer).readMembers(&f.claims, parsed(t, doc), false, nil); refused != nil {
			t.Fatal(refused)
		}
		f.isBound = f.claims.isBound
		for _, scheme := range []Scheme{Bearer, DPoP, 0} {
			if refused := f.checkSender(&Presentation{Scheme: scheme}); !refused.isA(errBound) {
				t.Errorf("%s as %s: %v", doc, scheme, refused)
			}
		}
		if refused := f.checkSender(nil); refused != nil {
			t.Errorf("%s: a Token that is held is refused: %v", doc, refused)
		}
	}
	if refused := new(facts).checkSender(&Presentation{Scheme: Bearer}); refused != nil {
		t.Errorf("without cnf: %v", refused)
	}
}

// TestMayPass checks that a token is verified again only if that can change the
// verdict.
func TestMayPass(t *testing.T) {
	for reason := range descriptions {
		want := reason == UnknownKey || reason == Unavailable
		if got := mayPass(refusal(reason, "x")); got != want {
			t.Errorf("%s may pass: %t", reason, got)
		}
	}
	if mayPass(nil) {
		t.Error("a token that was not refused may pass")
	}
}

// TestDemandedBinding checks that a route that demands a binding refuses a token
// without cnf, and leaves one with cnf to the check of its sender.
func TestDemandedBinding(t *testing.T) {
	demands := &Demands{SenderConstrained: true}
	if refused := demands.check(time.Now(), &tokenClaims{}, nil); !refused.isA(errUnbound) {
		t.Errorf("without cnf: %v", refused)
	}
	if refused := demands.check(time.Now(), &tokenClaims{isBound: true}, nil); refused != nil {
		t.Errorf("with cnf: %v", refused)
	}
}

// TestMinted checks that there is a Token only of a draft's own facts.
func TestMinted(t *testing.T) {
	var other draft
	other.mint()
	for name, change := range map[string]func(*draft){
		"not minted":           func(d *draft) { *d = draft{} },
		"a zero Token":         func(d *draft) { d.token = Token{} },
		"another Token":        func(d *draft) { d.token = other.token },
		"the facts of another": func(d *draft) { d.pointer = &other.facts },
		"without facts":        func(d *draft) { d.pointer = nil },
	} {
		d := new(draft)
		d.mint()
		if d.minted() != &d.token {
			t.Fatal("there is no Token")
		}
		if change(d); d.minted() != nil {
			t.Errorf("%s: there is a Token", name)
		}
		d.facts.claims.subject = "user-1"
		if token := d.mintedOrCopy(); token.Subject() != "user-1" { // for another caller that shares the answer
			t.Errorf("%s: mintedOrCopy returns %v", name, token)
		}
	}
}

// TestIsNobody checks that an empty name is nobody's, whatever the token lacks.
func TestIsNobody(t *testing.T) {
	for _, claims := range []tokenClaims{{}, {issuer: "i"}, {subject: "s"}} {
		d := &draft{facts: facts{claims: claims}}
		d.mint()
		if d.minted().Is(claims.issuer, claims.subject) {
			t.Errorf("a token of subject %q of issuer %q is somebody's", claims.subject, claims.issuer)
		}
	}
}

// TestHoldOrder gives facts several faults and checks which one hold reports: that of
// the issuer before that of the key, and that of the key before the others, as when a
// token is verified again.
func TestHoldOrder(t *testing.T) {
	is, other := &checkedIssuer{}, &checkedIssuer{}
	f := &facts{issuer: is, isBound: true, signed: true} // without a key, and expired
	for _, row := range []struct {
		is   *checkedIssuer
		want string
	}{
		{other, errIssuerGone.cause.Error()},
		{is, keyRefusal("", f.key.Live()).cause.Error()},
	} {
		at := readClocks(t.Context())
		refused := new(checks).hold(t.Context(), &at, row.is, f, &Demands{MaxLifetime: 1}, &Presentation{Scheme: Bearer}, nil)
		if refused == nil || refused.cause.Error() != row.want {
			t.Errorf("hold returns the cause %v, want %q", refused.Unwrap(), row.want)
		}
	}
}

// TestConfirmation checks that a Token returns the members of cnf by name, and
// nothing of a cnf that is not an object of a few strings and a key.
func TestConfirmation(t *testing.T) {
	for _, row := range []struct {
		doc, member, want string
		found             bool
	}{
		{`{"cnf":{"jkt":"x","kid":"k","x5t#S256":"y"}}`, "jkt", "x", true},
		{`{"cnf":{"jkt":"x","kid":"k","x5t#S256":"y"}}`, "kid", "k", true},
		{`{"cnf":{"jkt":"x","kid":"k","x5t#S256":"y"}}`, "x5t#S256", "y", true},
		{`{"cnf":{"jwk":{ "kty":"OKP",` + "\n" + `"x":"y"}}}`, "jwk", `{ "kty":"OKP",` + "\n" + `"x":"y"}`, true},
		{`{"cnf":{"jkt":"x"}}`, "JKT", "", false},
		{`{"cnf":{"jkt":""}}`, "jkt", "", true},
		{`{"cnf":{"jkt":"x","kid":1}}`, "jkt", "", false},
		{`{"cnf":{"jkt":"x","kid":"\u0000"}}`, "jkt", "", false},
		{`{"cnf":{"jkt":"x","jwk":"y"}}`, "jkt", "", false},
		{`{"cnf":{"1":"","2":"","3":"","4":"","5":"","6":"","7":"","jkt":"x"}}`, "jkt", "x", true},
		{`{"cnf":{"1":"","2":"","3":"","4":"","5":"","6":"","7":"","8":"","jkt":"x"}}`, "jkt", "", false},
		{`{"cnf":"jkt"}`, "jkt", "", false},
		{`{"jkt":"x"}`, "jkt", "", false},
	} {
		d := &draft{}
		if refused := new(checkedIssuer).readMembers(&d.facts.claims, parsed(t, row.doc), false, nil); refused != nil {
			t.Fatal(refused)
		}
		d.mint()
		if got, found := d.minted().Confirmation(row.member); got != row.want || found != row.found {
			t.Errorf("%s of %s is %q, %t", row.member, row.doc, got, found)
		}
	}
	if got, found := new(Token).Confirmation("jkt"); got != "" || found {
		t.Errorf("the zero Token has %q", got)
	}
}

// TestSelection checks that facts are not found under another selection, even for
// the same token (DESIGN, hard corner "Token cache").
func TestSelection(t *testing.T) {
	c := testCache(t, 0, 0)
	jwts, opaque, other := newSelection(), newSelection(), newSelection()
	e := &entry{draft: new(draft)}
	c.add(opaque.digest("token"), e)
	if c.get(opaque.digest("token")) != e {
		t.Error("the entry is not found")
	}
	for _, s := range []selection{jwts, other} {
		if c.get(s.digest("token")) != nil {
			t.Error("the entry of an issuer is found under another selection")
		}
	}
}

// TestEntryDeadline checks that each entry has a deadline of its own: facts that an
// issuer answered may end long before those of a signature.
func TestEntryDeadline(t *testing.T) {
	start := time.Unix(1_700_000_000, 0)
	at := func(d time.Duration) clock.Moment { return clock.MomentAt(start.Add(d), start) }
	introspected := &entry{since: at(0), lasts: 10 * time.Second, until: start.Unix() + 3600}
	verified := &entry{since: at(0), lasts: 5 * time.Minute, until: start.Unix() + 60}
	for _, row := range []struct {
		e              *entry
		after          time.Duration
		outdated, over bool
	}{
		{introspected, 0, false, false},
		{introspected, 10*time.Second - 1, false, false},
		{introspected, 10 * time.Second, true, false},
		{verified, 10 * time.Second, false, false},
		{verified, time.Minute - 1, false, false},
		{verified, time.Minute, false, true},
		{verified, 5*time.Minute - 1, false, true},
		{verified, 5 * time.Minute, true, true},
	} {
		if got := row.e.isOutdated(at(row.after)); got != row.outdated {
			t.Errorf("after %v, an entry that lasts %v is outdated: %t", row.after, row.e.lasts, got)
		}
		if got := row.e.isOver(start.Add(row.after)); got != row.over {
			t.Errorf("after %v, an entry that lasts %v is over: %t", row.after, row.e.lasts, got)
		}
	}
}

// SetDeadline changes how long v believes its facts about a token, and the second
// since 1970 in which they end.
func SetDeadline(v *Validator, token string, lasts time.Duration, until int64) {
	e := v.cache.get(v.jwts.digest(token))
	e.lasts, e.until = lasts, until
}
