package scopes

import (
	"reflect"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/validator"
)

// eachDemand calls do for every field of Demands, with Demands in which only that
// field is set. It fails the test for a field of a type that it does not know.
func eachDemand(t *testing.T, do func(field string, one validator.Demands)) {
	t.Helper()
	fields := reflect.TypeFor[validator.Demands]()
	for i := range fields.NumField() {
		var one validator.Demands
		switch field := reflect.ValueOf(&one).Elem().Field(i); field.Interface().(type) {
		case bool:
			field.SetBool(true)
		case time.Duration:
			field.SetInt(int64(time.Hour))
		case string:
			field.SetString("https://issuer.example")
		case []string:
			field.Set(reflect.ValueOf([]string{"https://api.example"}))
		default:
			t.Errorf("Demands.%s: this test knows no value of type %s", fields.Field(i).Name, field.Type())
			continue
		}
		do(fields.Field(i).Name, one)
	}
}

// TestEveryDemandIsKept covers R-CL-05, R-CL-11 and R-SC-12: no constructor loses a
// field of Demands, not even one that is added later.
func TestEveryDemandIsKept(t *testing.T) {
	hierarchy := Hierarchy{"broad": {"scope"}}
	strong := And(All("scope"), ACR("gold"), MaxAuthAge(time.Minute))
	tiers := Tiers(TierTable{Tiers: map[string]Tier{"all": {MaxLifetime: time.Hour}}, Default: "all"})
	eachDemand(t, func(field string, one validator.Demands) {
		part := demanding("part", one)
		for name, policy := range map[string]Policy{
			"alone":        part,
			"And, first":   And(part, All("scope")),
			"And, last":    And(All("scope"), part),
			"And, nested":  And(And(All("scope"), And(part)), And(Authenticated())),
			"under":        And(part, All("scope")).Under(hierarchy),
			"under, inner": And(part, All("scope").Under(hierarchy)),
			"privileged":   Privileged(And(strong, part)),
			"sensitive":    And(Sensitive(And(strong, part)), All("other")),
			"tiers":        And(tiers, part),
		} {
			if err := policy.Err(); err != nil {
				t.Errorf("%s: %s: %v", field, name, err)
				continue
			}
			if got := policy.Demands(); !reflect.DeepEqual(got, one) {
				t.Errorf("%s: %s: demands %+v, want %+v", field, name, got, one)
			}
			made := policy.Requirement()
			want := (&demand{demands: one}).requirement()
			if reflect.ValueOf(want).IsZero() {
				t.Errorf("%s: no requirement of the contract says so", field)
			}
			for i := range reflect.TypeFor[Requirement]().NumField() {
				if w := reflect.ValueOf(want).Field(i); !w.IsZero() && !reflect.DeepEqual(reflect.ValueOf(made).Field(i).Interface(), w.Interface()) {
					t.Errorf("%s: %s: the contract requires %+v, want %+v", field, name, made, want)
				}
			}
		}
		if Or(part, All("scope")).Err() == nil || Or(And(part, All("scope")), All("other")).Err() == nil {
			t.Errorf("%s: a demand with an alternative is no fault", field)
		}
		if twice := joinedDemands(one, one); field != "Audiences" && !reflect.DeepEqual(twice, one) {
			t.Errorf("%s: joined with itself it is %+v", field, twice)
		}
	})
}

// TestJoinedDemands shows that the stricter demand counts, in both orders, and that
// two lists of audiences and two issuers of opaque tokens are faults.
func TestJoinedDemands(t *testing.T) {
	audiences := []string{"https://api.example"}
	strict := validator.Demands{SoleAudience: true, MaxLifetime: time.Minute, MaxTokenAge: time.Second, SenderConstrained: true, ActiveWithin: time.Second}
	weak := validator.Demands{Audiences: audiences, MaxLifetime: time.Hour, MaxTokenAge: time.Minute, ActiveWithin: time.Minute, OpaqueIssuer: "https://as.example"}
	want := strict
	want.Audiences, want.OpaqueIssuer = audiences, weak.OpaqueIssuer
	for _, sides := range [][2]validator.Demands{{strict, weak}, {weak, strict}} {
		if got := joinedDemands(sides[0], sides[1]); !reflect.DeepEqual(got, want) {
			t.Errorf("%+v and %+v are %+v", sides[0], sides[1], got)
		}
	}
	if And(demanding("weak", weak), demanding("weak", weak)).Err() == nil {
		t.Error("two lists of audiences are joined")
	}
	for _, row := range []struct{ a, b, want time.Duration }{
		{0, 0, 0},
		{0, time.Second, time.Second},
		{time.Second, time.Minute, time.Second},
		{validator.EachRequest, 0, validator.EachRequest},
		{validator.EachRequest, 1, validator.EachRequest},
	} {
		for _, sides := range [][2]time.Duration{{row.a, row.b}, {row.b, row.a}} {
			if got := joinedDemands(validator.Demands{ActiveWithin: sides[0]}, validator.Demands{ActiveWithin: sides[1]}); got.ActiveWithin != row.want {
				t.Errorf("active within %s and %s is within %s, want %s", sides[0], sides[1], got.ActiveWithin, row.want)
			}
		}
	}
	one, other := OpaqueIssuer("https://as.example"), OpaqueIssuer("https://as.example/")
	if err := And(one, All("a"), OpaqueIssuer("https://as.example")).Err(); err != nil {
		t.Error(err)
	}
	if And(one, And(All("a"), other)).Err() == nil {
		t.Error("two issuers of opaque tokens are joined")
	}
}
