package differential

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/big"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"

	gojosejson "github.com/go-jose/go-jose/v4/json"
	"github.com/golang-jwt/jwt/v5"

	"github.com/sallyport-auth/sallyport/internal/clock"
	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/validator"
)

const (
	issuer   = "https://as.example"
	audience = "https://api.example"

	now    = 1_750_000_000
	leeway = 30 // seconds after exp and into the future, the default
)

func newValidator(tb testing.TB) *validator.Validator {
	tb.Helper()
	return issuertest.Validator(tb, validator.Config{Issuers: []validator.Issuer{{
		URL:        issuer,
		Audiences:  []string{"https://alias.example", audience},
		Algorithms: []jose.Algorithm{jose.ES256},
		Keys:       jwkscache.Static(sets[jose.ES256-jose.RS256].document),
	}}})
}

// validate signs payload properly and validates the token at the time now.
func validate(tb testing.TB, v *validator.Validator, payload string) (token string, accepted *validator.Token, err error) {
	tb.Helper()
	token = signerOf(jose.ES256).sign(tb, header("ES256"), payload)
	ctx := clock.At(tb.Context(), time.Unix(now, 0))
	accepted, err = v.Validate(ctx, issuertest.Bearer(token))
	return token, accepted, err
}

// oracle returns what RFC 9068 finds wrong with claims that encoding/json read, or
// "". It is written from the specification and shares no code with package
// validator.
func oracle(claims map[string]any) string {
	if claims["iss"] != issuer {
		return "iss is another issuer"
	}
	for _, name := range []string{"sub", "client_id", "jti"} {
		if !identifier(claims[name]) {
			return name + " is missing or no identifier"
		}
	}
	if value, ok := claims["azp"]; ok && !identifier(value) {
		return "azp is no identifier"
	}
	if fault := oracleTimes(claims); fault != "" {
		return fault
	}
	audiences, ok := texts(claims["aud"])
	if one, isText := claims["aud"].(string); isText {
		audiences, ok = []string{one}, identifier(one)
	}
	if !ok || !slices.Contains(audiences, audience) && !slices.Contains(audiences, "https://alias.example") {
		return "aud is not ours"
	}
	if value, ok := claims["scope"]; ok {
		if text, ok := value.(string); !ok || !scopeSyntax.MatchString(text) {
			return "scope is no scope"
		}
	}
	if value, ok := claims["act"]; ok {
		actor, ok := value.(map[string]any)
		if !ok {
			return "act is no object"
		}
		for _, name := range []string{"iss", "sub", "client_id"} {
			if value, ok := actor[name]; ok && !identifier(value) {
				return "act." + name + " is no identifier"
			}
		}
	}
	if _, ok := claims["cnf"]; ok {
		return "the token is bound to a sender"
	}
	return ""
}

// withoutUnreadable returns claims without acr, amr and auth_time where they have another
// type: they count as absent.
func withoutUnreadable(claims map[string]any) map[string]any {
	rest := maps.Clone(claims)
	if !identifier(claims["acr"]) {
		delete(rest, "acr")
	}
	if _, ok := texts(claims["amr"]); !ok {
		delete(rest, "amr")
	}
	if number, ok := claims["auth_time"].(json.Number); !ok || strings.HasPrefix(number.String(), "-") {
		delete(rest, "auth_time")
	}
	return rest
}

func oracleTimes(claims map[string]any) string {
	dates := make(map[string]*big.Rat)
	for _, name := range []string{"exp", "iat", "nbf", "auth_time"} {
		value, ok := claims[name]
		if !ok {
			continue
		}
		number, _ := value.(json.Number)
		date, ok := seconds(number.String())
		if !ok {
			return name + " is no NumericDate"
		}
		dates[name] = date
	}
	switch {
	case dates["exp"] == nil || dates["iat"] == nil:
		return "exp or iat is missing"
	case dates["exp"].Cmp(integer(now-leeway)) <= 0:
		return "expired"
	}
	for _, name := range []string{"iat", "nbf", "auth_time"} {
		if date := dates[name]; date != nil && date.Cmp(integer(now+leeway)) > 0 {
			return name + " lies ahead"
		}
	}
	return ""
}

// scopeSyntax is RFC 6749 §3.3, and the empty list.
var scopeSyntax = regexp.MustCompile(`^([!#-\[\]-~]+( [!#-\[\]-~]+)*)?$`)

// identifier reports whether value is a string that is not empty and has no control
// characters.
func identifier(value any) bool {
	text, ok := value.(string)
	return ok && text != "" && !strings.ContainsFunc(text, func(r rune) bool { return unicode.Is(unicode.Cc, r) })
}

func texts(value any) ([]string, bool) {
	elements, ok := value.([]any)
	if !ok {
		return nil, false
	}
	var all []string
	for _, element := range elements {
		if !identifier(element) {
			return nil, false
		}
		all = append(all, element.(string))
	}
	return all, true
}

func integer(n int64) *big.Rat { return new(big.Rat).SetInt64(n) }

var numberSyntax = regexp.MustCompile(`^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE]([+-]?[0-9]+))?$`)

// exactly returns the exact value of a JSON number. It returns false if the number
// is negative, or too large or too long for exact arithmetic.
func exactly(literal string) (*big.Rat, bool) {
	match := numberSyntax.FindStringSubmatch(literal)
	if match == nil || literal[0] == '-' || len(literal) > 500 {
		return nil, false
	}
	// big.Rat writes out the zeros of a large exponent. No payload is long enough
	// for digits that bring a number with one of these exponents into range.
	const large = 30_000
	if exponent := match[1]; exponent != "" {
		if n, err := strconv.Atoi(exponent); err != nil || n > large || n < -large {
			mantissa, _, _ := strings.Cut(strings.ToLower(literal), "e")
			switch {
			case strings.Trim(mantissa, "0.") == "":
				return new(big.Rat), true
			case exponent[0] == '-':
				return new(big.Rat).SetFrac(big.NewInt(1), new(big.Int).Lsh(big.NewInt(1), 2000)), true
			default:
				return nil, false
			}
		}
	}
	return new(big.Rat).SetString(literal)
}

// seconds returns the value of a NumericDate: a number from 0 to 2^53. The value of
// an integer is exact; that of any other literal is the nearest float64.
func seconds(literal string) (*big.Rat, bool) {
	value, ok := exactly(literal)
	if !ok {
		return nil, false
	}
	if strings.ContainsAny(literal, ".eE") {
		nearest, _ := value.Float64()
		if value = new(big.Rat).SetFloat64(nearest); value == nil {
			return nil, false // infinite
		}
	}
	return value, value.Cmp(integer(1<<53)) <= 0
}

// plain reports whether all strict readers must read payload the same: it is
// printable ASCII without escapes and duplicates, with little nesting and few
// members. If the oracle finds nothing wrong with it, it must be accepted.
func plain(payload string, strict map[string]any) bool {
	if strict == nil || len(payload) > 8<<10 {
		return false
	}
	for i := range len(payload) {
		if c := payload[i]; c < ' ' || c > '~' || c == '\\' {
			return false
		}
	}
	return strings.Count(payload, ":") <= 200 && strings.Count(payload, "{")+strings.Count(payload, "[") <= 10
}

var errTrailing = errors.New("trailing data")

// ended returns errTrailing unless only white space follows what decoder has read.
// It decodes a further value, because Decoder.More also returns false before a
// closing bracket.
func ended(decoder interface{ Decode(value any) error }) error {
	if err := decoder.Decode(new(any)); !errors.Is(err, io.EOF) {
		return errTrailing
	}
	return nil
}

// byGoJOSE reads payload with the JSON reader of go-jose, which refuses duplicate
// members and compares names exactly.
func byGoJOSE(payload string) (map[string]any, error) {
	decoder := gojosejson.NewDecoder(strings.NewReader(payload))
	decoder.SetNumberType(gojosejson.UnmarshalJSONNumber)
	var claims map[string]any
	if err := decoder.Decode(&claims); err != nil {
		return nil, err
	}
	return claims, ended(decoder)
}

func byEncodingJSON(payload string) (map[string]any, error) {
	decoder := json.NewDecoder(strings.NewReader(payload))
	decoder.UseNumber()
	var claims map[string]any
	if err := decoder.Decode(&claims); err != nil {
		return nil, err
	}
	return claims, ended(decoder)
}

// normal returns v with the numbers of go-jose as numbers of encoding/json.
func normal(value any) any {
	switch value := value.(type) {
	case gojosejson.Number:
		return json.Number(value)
	case []any:
		all := make([]any, len(value))
		for i := range value {
			all[i] = normal(value[i])
		}
		return all
	case map[string]any:
		all := make(map[string]any, len(value))
		for name := range value {
			all[name] = normal(value[name])
		}
		return all
	default:
		return value
	}
}

// confirmReading compares the accessors of token with claims.
func confirmReading(t *testing.T, token *validator.Token, claims map[string]any) {
	t.Helper()
	for name, got := range map[string]string{
		"iss": token.Issuer(), "sub": token.Subject(), "client_id": token.ClientID(), "jti": token.ID(), "acr": token.ACR(),
	} {
		if want, _ := claims[name].(string); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	for name, got := range map[string]time.Time{
		"exp": token.Expiry(), "iat": token.IssuedAt(), "nbf": token.NotBefore(), "auth_time": token.AuthTime(),
	} {
		number, ok := claims[name].(json.Number)
		if !ok {
			if !got.IsZero() {
				t.Errorf("%s: %v, and it is absent", name, got)
			}
			continue
		}
		want, ok := seconds(number.String())
		if !ok {
			t.Fatalf("%s: %s is no NumericDate", name, number)
		}
		difference, _ := want.Sub(want, instant(got)).Float64()
		if difference < -1 || difference > 1 {
			t.Errorf("%s: %v, want %s", name, got, number)
		}
	}
	audiences, _ := texts(claims["aud"])
	if one, ok := claims["aud"].(string); ok {
		audiences = []string{one}
	}
	if !slices.Equal(token.Audience(), audiences) {
		t.Errorf("aud: %q, want %q", token.Audience(), audiences)
	}
	methods, _ := texts(claims["amr"])
	if !slices.Equal(token.AMR(), methods) {
		t.Errorf("amr: %q, want %q", token.AMR(), methods)
	}
	scope, _ := claims["scope"].(string)
	var tokens []string
	if scope != "" {
		tokens = strings.Split(scope, " ")
	}
	if !slices.Equal(token.Scopes(), tokens) {
		t.Errorf("scope: %q, want %q", token.Scopes(), tokens)
	}
	for _, one := range tokens {
		if !token.HasScope(one) {
			t.Errorf("no scope %q", one)
		}
	}
	actor, present := token.Actor()
	outermost, want := claims["act"].(map[string]any)
	if present != want {
		t.Errorf("act: %v, want %v", present, want)
	}
	for name, got := range map[string]string{"iss": actor.Issuer, "sub": actor.Subject, "client_id": actor.ClientID} {
		if want, _ := outermost[name].(string); got != want {
			t.Errorf("act.%s: %q, want %q", name, got, want)
		}
	}
}

func instant(at time.Time) *big.Rat {
	value := integer(at.Unix())
	return value.Add(value, big.NewRat(int64(at.Nanosecond()), 1e9))
}

// confirmGolangJWT checks that golang-jwt accepts the token and reads the same in it.
func confirmGolangJWT(t *testing.T, text string, token *validator.Token) {
	t.Helper()
	parser := jwt.NewParser(
		jwt.WithValidMethods([]string{"ES256"}), jwt.WithStrictDecoding(), jwt.WithJSONNumber(),
		jwt.WithIssuer(issuer), jwt.WithAudience(audience, "https://alias.example"), jwt.WithExpirationRequired(),
		jwt.WithIssuedAt(), jwt.WithLeeway((leeway+1)*time.Second), // golang-jwt cuts dates to seconds
		jwt.WithTimeFunc(func() time.Time { return time.Unix(now, 0) }),
	)
	parsed, err := parser.Parse(text, func(*jwt.Token) (any, error) { return p256Key.Public(), nil })
	if err != nil {
		t.Fatalf("golang-jwt: %v", err)
	}
	subject, err := parsed.Claims.GetSubject()
	if err != nil || subject != token.Subject() {
		t.Errorf("sub: golang-jwt has %q (%v), Sallyport %q", subject, err, token.Subject())
	}
	audiences, err := parsed.Claims.GetAudience()
	if err != nil || !slices.Equal(audiences, token.Audience()) {
		t.Errorf("aud: golang-jwt has %q (%v), Sallyport %q", audiences, err, token.Audience())
	}
	expiry, err := parsed.Claims.GetExpirationTime()
	if err != nil || expiry.Sub(token.Expiry()).Abs() > time.Second {
		t.Errorf("exp: golang-jwt has %v (%v), Sallyport %v", expiry, err, token.Expiry())
	}
}

// confirmClaims compares Token.Claims, which decodes the payload, with encoding/json.
func confirmClaims(t *testing.T, claims map[string]any, token *validator.Token) {
	t.Helper()
	var got map[string]any
	if err := token.Claims(&got); err != nil {
		t.Fatalf("Claims: %v", err)
	}
	if !isSame(got, claims) {
		t.Errorf("Claims: %v, want %v", got, claims)
	}
}

// isSame reports whether got, of Token.Claims, has the values of want, whose numbers are
// literals. A number that is not the same literal is a float64 that keeps its digits.
func isSame(got, want any) bool {
	switch want := want.(type) {
	case map[string]any:
		object, ok := got.(map[string]any)
		if !ok || len(object) != len(want) {
			return false
		}
		for name, value := range want {
			if member, ok := object[name]; !ok || !isSame(member, value) {
				return false
			}
		}
		return true
	case []any:
		array, ok := got.([]any)
		return ok && slices.EqualFunc(array, want, isSame)
	case json.Number:
		if number, ok := got.(float64); ok {
			value, known := exactly(string(want))
			short, _ := exactly(strconv.FormatFloat(number, 'e', -1, 64))
			if !known || short == nil { // negative, or of a large exponent
				near, err := strconv.ParseFloat(string(want), 64)
				return err == nil && near == number
			}
			return short.Cmp(value) == 0
		}
		return got == any(want)
	default:
		return got == want
	}
}

// checkPayload validates a token with payload and confirms every claim of the Token.
func checkPayload(t *testing.T, v *validator.Validator, payload string) {
	t.Helper()
	if payload == "" {
		return
	}
	strict, strictErr := byGoJOSE(payload)
	text, token, err := validate(t, v, payload)
	if err != nil {
		if strictErr == nil && plain(payload, strict) && oracle(withoutUnreadable(normal(strict).(map[string]any))) == "" {
			t.Errorf("refused a good token: %v (%s)", err, payload)
		}
		return
	}
	claims, err := byEncodingJSON(payload)
	if err != nil {
		t.Fatalf("encoding/json: %v", err)
	}
	if strictErr != nil {
		t.Fatalf("go-jose's JSON: %v", strictErr)
	}
	if !reflect.DeepEqual(normal(strict), any(claims)) {
		t.Fatalf("go-jose's JSON reads %v, encoding/json %v", strict, claims)
	}
	read := withoutUnreadable(claims)
	if fault := oracle(read); fault != "" {
		t.Fatalf("accepted, but %s", fault)
	}
	confirmReading(t, token, read)
	confirmGolangJWT(t, text, token)
	confirmClaims(t, claims, token)
}

// goodClaims returns claims, each as JSON text, that are accepted.
func goodClaims() map[string]string {
	return map[string]string{
		"iss":       strconv.Quote(issuer),
		"aud":       fmt.Sprintf("[%q,%q]", audience, "https://elsewhere.example"),
		"sub":       `"alice"`,
		"client_id": `"app"`,
		"jti":       `"0123"`,
		"exp":       strconv.Itoa(now + 600),
		"iat":       strconv.Itoa(now),
		"scope":     `"read write"`,
	}
}

// document returns goodClaims as a JSON document after changes: each replaces a
// claim, and an empty one removes it.
func document(changes map[string]string) string {
	claims := goodClaims()
	maps.Copy(claims, changes)
	var members []string
	for _, name := range slices.Sorted(maps.Keys(claims)) {
		if claims[name] != "" {
			members = append(members, fmt.Sprintf("%q:%s", name, claims[name]))
		}
	}
	return "{" + strings.Join(members, ",") + "}"
}

// payloads returns documents of every kind on which the readers must agree, or
// which Sallyport must refuse.
func payloads() []string {
	all := []string{document(nil)}
	for name := range goodClaims() {
		all = append(all, document(map[string]string{name: ""}))
	}
	values := []string{
		`""`, `"x"`, `"\u0061\ud83d\ude00"`, `"\ud800"`, `"\u0000"`, `"\u0085"`, `"ü"`, "\"\x80\"", "\"\t\"", `" "`, `"a  b"`, `"a "`,
		`"a\u0020b"`, `"a\\b"`, `null`, `true`, `0`, `-0`, `-1`, `1`, `1.5`, `1e400`, `1e-400`, `1e999999999999`, `0e999999999999`,
		`01`, `+1`, `1.`, `.5`, `0x1`, `[]`, `[""]`, `["x"]`, `["x",1]`, `[null]`, `[["x"]]`, `{}`, `{"sub":"bob"}`, `{"sub":1}`,
		`{"sub":"bob","sub":"eve"}`, `{"iss":"i","sub":"bob","client_id":"c","act":{"sub":"carol"}}`, `{"":{"":{"":1}}}`,
	}
	for _, name := range []string{"iss", "aud", "sub", "exp", "iat", "nbf", "auth_time", "scope", "acr", "amr", "act", "cnf", "azp", "x"} {
		for _, value := range values {
			all = append(all, document(map[string]string{name: value}))
		}
	}
	for _, offset := range []int{-leeway - 1, -leeway, -leeway + 1, 0, leeway - 1, leeway, leeway + 1} {
		for _, name := range []string{"exp", "iat", "nbf", "auth_time"} {
			for _, format := range []string{"%d", "%d.0", "%d.5", "%de0", "%d.000000001"} {
				all = append(all, document(map[string]string{name: fmt.Sprintf(format, now+offset)}))
			}
		}
	}
	good := document(nil)
	return append(
		all,
		document(map[string]string{"aud": strconv.Quote(audience)}),
		document(map[string]string{"aud": `"https://api.example/"`}),
		document(map[string]string{"amr": `["pwd","otp"]`, "acr": `"urn:x"`, "nbf": "1", "auth_time": "1"}),
		strings.Replace(good, `"sub"`, `"sub":"mallory","sub"`, 1),
		strings.Replace(good, `"sub"`, `"s\u0075b":"mallory","sub"`, 1),
		strings.Replace(good, `"sub"`, `"Sub":"mallory","sub"`, 1),
		strings.Replace(good, `"sub"`, `"ſub":"mallory","sub"`, 1),
		strings.Replace(good, `"sub"`, `"s\u0075b"`, 1),
		strings.Replace(good, `"sub"`, `"SUB"`, 1),
		strings.Replace(good, `"x"`, `{"a":1,"a":2}`, 1),
		strings.ReplaceAll(good, ",", " ,\n\t"),
		" "+good+" ",
		good+good,
		good+"null",
		good+"}",
		good+"]",
		good+" }",
		good+"\x00",
		good[:len(good)-1],
		good[:len(good)-1]+",}",
		"\ufeff"+good,
		"["+good+"]",
		`{"x":`+strings.Repeat("[", 20)+strings.Repeat("]", 20)+","+good[1:],
		`{"x":`+strings.Repeat(`{"x":`, 20)+"1"+strings.Repeat("}", 20)+","+good[1:],
		`{"x":"}`+good[1:],
	)
}

// FuzzClaims checks that every document has one reading. If Validate accepts it,
// encoding/json, the reader of go-jose and golang-jwt read what the Token has, and
// the oracle finds nothing wrong. If the oracle finds nothing wrong with a plain
// document, Validate accepts it.
func FuzzClaims(f *testing.F) {
	for _, payload := range payloads() {
		f.Add(payload)
	}
	v := newValidator(f)
	f.Fuzz(func(t *testing.T, payload string) { checkPayload(t, v, payload) })
}

// FuzzNumericDate checks the same for the literal of exp: it is accepted if, and
// only if, it is a JSON number after now − leeway and at most 2^53.
func FuzzNumericDate(f *testing.F) {
	for _, literal := range []string{
		"1750000000", "1749999970", "1749999971", "1749999970.0000001", "1749999970.5", "1749999969.9999999", "1.749999971e9", "17499999710E-1",
		"9007199254740991", "9007199254740992", "9007199254740993", "9007199254740992.0", "9.007199254740992e15", "9007199254740994.0",
		"9223372036854775807", "9223372036854775808", "18446744073709551616", "18446744075459551616", "1e18", "1e19", "1e308", "1e309",
		"1e999999999999999999999", "1e-999999999999999999999", "0e999999999999999999999", "0", "-0", "-1", "-1e300", "0.1e11", "1E+10", "1e+010",
		"01750000600", "+1750000600", "1750000600.", ".1e11", "0x7fffffff", "1_750_000_600", "Infinity", "NaN", `"1750000600"`, "null", "[1750000600]",
		"1750000600,\"exp\":1", "1750000600" + strings.Repeat("0", 400), "1750000600." + strings.Repeat("0", 400) + "1",
	} {
		f.Add(literal)
	}
	v := newValidator(f)
	f.Fuzz(func(t *testing.T, literal string) {
		payload := document(map[string]string{"exp": literal})
		if claims, err := byEncodingJSON(payload); err != nil || claims["exp"] != any(json.Number(literal)) {
			return // not one number; FuzzClaims has such documents
		}
		checkPayload(t, v, payload)
		_, token, err := validate(t, v, payload)
		if err != nil {
			return
		}
		value, ok := exactly(literal)
		if !ok || value.Cmp(integer(now-leeway)) <= 0 {
			t.Errorf("accepted at or after %s", literal)
		}
		if difference, _ := value.Sub(value, instant(token.Expiry())).Float64(); difference < -1 || difference > 1 {
			t.Errorf("%s was read as %v", literal, token.Expiry())
		}
	})
}

// TestReadersRefuseTrailingData checks that the readers of this package refuse
// anything but white space behind the document.
func TestReadersRefuseTrailingData(t *testing.T) {
	readers := map[string]func(string) (map[string]any, error){"go-jose": byGoJOSE, "encoding/json": byEncodingJSON}
	for name, read := range readers {
		for _, tail := range []string{"", " ", "\n\t\r "} {
			if _, err := read(document(nil) + tail); err != nil {
				t.Errorf("%s refuses a document with the tail %q: %v", name, tail, err)
			}
		}
		for _, tail := range []string{"}", "]", " }", "}}", "]}", ",", ":", "null", "1", `"`, "{", "{}", "[", "x", "/**/", "\x00", "\f", "\u00a0", "\ufeff"} {
			if _, err := read(document(nil) + tail); !errors.Is(err, errTrailing) {
				t.Errorf("%s: error %v with the tail %q, want %v", name, err, tail, errTrailing)
			}
		}
	}
}

func TestPayloads(t *testing.T) {
	v := newValidator(t)
	accepted := 0
	for _, payload := range payloads() {
		checkPayload(t, v, payload)
		if _, token, _ := validate(t, v, payload); token != nil {
			accepted++
		}
	}
	t.Logf("%d of %d accepted", accepted, len(payloads()))
	if accepted < len(payloads())/20 {
		t.Error("too few were accepted for this test to mean anything")
	}
}
