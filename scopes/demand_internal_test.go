package scopes

import (
	"reflect"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/validator"
)

// eachDemand calls do for every field of Demands with demands in which only that
// field is set. A field of a type that it does not know fails the test.
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
		case []string:
			field.Set(reflect.ValueOf([]string{"https://api.example"}))
		default:
			t.Errorf("Demands.%s: this test knows no value of type %s", fields.Field(i).Name, field.Type())
			continue
		}
		do(fields.Field(i).Name, one)
	}
}

// TestEveryDemandIsKept (R-CL-05, R-CL-11, R-SC-12): a field of Demands that is
// added and not joined fails here, wherever a policy carries demands on.
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
			made := NewContract([]Route{{"GET /", policy}}).Routes[0].Requires
			want := *demandRequirement(one)
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
		if twice, err := joinedDemands(one, one); field != "Audiences" && (err != nil || !reflect.DeepEqual(twice, one)) {
			t.Errorf("%s: joined with itself it is %+v, %v", field, twice, err)
		}
	})
}

// TestJoinedDemands: the stricter demand counts, whichever comes first, and two
// lists of audiences are a fault.
func TestJoinedDemands(t *testing.T) {
	audiences := []string{"https://api.example"}
	strict := validator.Demands{SoleAudience: true, MaxLifetime: time.Minute, MaxAge: time.Second, SenderConstrained: true}
	weak := validator.Demands{Audiences: audiences, MaxLifetime: time.Hour, MaxAge: time.Minute}
	want := strict
	want.Audiences = audiences
	for _, sides := range [][2]validator.Demands{{strict, weak}, {weak, strict}} {
		if got, err := joinedDemands(sides[0], sides[1]); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%+v and %+v are %+v, %v", sides[0], sides[1], got, err)
		}
	}
	if _, err := joinedDemands(weak, weak); err == nil {
		t.Error("two lists of audiences are joined")
	}
}
