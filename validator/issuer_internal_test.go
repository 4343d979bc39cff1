package validator

import (
	"errors"
	"net/http"
	"reflect"
	"testing"

	"github.com/sallyport-auth/sallyport/jwkscache"
)

// sharedFields are the fields of Issuer whose values a clone shares, with the reason.
var sharedFields = map[string]string{
	".HTTPClient": "it is in use",
	".Keys":       "a Source cannot be changed",
	".Err":        "an error cannot be changed",
	".Opaque":     "it is compared by address; what is used of it is copied when the issuer is opened",
}

// fill sets every field below v to a value that is not zero. Of a ClaimRule inside
// AnyOf it leaves AnyOf nil, since rules could be nested without end.
func fill(t *testing.T, v reflect.Value) {
	t.Helper()
	switch v.Kind() {
	case reflect.Struct:
		for field, value := range v.Fields() {
			if field.Name == "AnyOf" {
				value.Set(reflect.ValueOf([]ClaimRule{{Name: "a", Type: ClaimStrings, Equals: "a"}}))
				continue
			}
			fill(t, value)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(t, v.Index(0))
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(t, key)
		fill(t, value)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.String:
		v.SetString("a")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(1)
	case reflect.Uint8:
		v.SetUint(1)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
	case reflect.Interface:
		if v.Type() == reflect.TypeFor[error]() {
			v.Set(reflect.ValueOf(errors.New("a")))
			return
		}
		v.Set(reflect.ValueOf(jwkscache.URL("https://a.example/jwks")))
	default:
		t.Fatalf("fill does not know the kind %v", v.Kind())
	}
}

// eachField calls visit with the path of every field below v, and v's counterpart
// in other.
func eachField(path string, v, other reflect.Value, visit func(path string, v, other reflect.Value)) {
	if v.Kind() == reflect.Slice && v.Len() == 0 {
		return // AnyOf of an alternative
	}
	visit(path, v, other)
	if _, shared := sharedFields[path]; shared {
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			eachField(path+"."+v.Type().Field(i).Name, v.Field(i), other.Field(i), visit)
		}
	case reflect.Slice:
		eachField(path+"[]", v.Index(0), other.Index(0), visit)
	case reflect.Map:
		key := v.MapKeys()[0]
		eachField(path+"[]", v.MapIndex(key), other.MapIndex(key), visit)
	default:
	}
}

// TestIssuerClone shows that a clone of an Issuer shares no slice, map or pointer
// with it, whatever fields it has, so that later changes by the caller have no
// effect.
func TestIssuerClone(t *testing.T) {
	var given Issuer
	fill(t, reflect.ValueOf(&given).Elem())
	clone := given.clone()
	if !clone.equal(&given) || !reflect.DeepEqual(clone, given) {
		t.Fatal("a clone differs")
	}
	fields := 0
	eachField("", reflect.ValueOf(clone), reflect.ValueOf(given), func(path string, v, other reflect.Value) {
		fields++
		switch v.Kind() {
		case reflect.Slice, reflect.Map, reflect.Pointer, reflect.Interface:
			if _, shared := sharedFields[path]; !shared && (v.Kind() == reflect.Interface || v.Pointer() == other.Pointer()) {
				t.Errorf("Issuer%s is shared by the clone", path)
			}
		default:
		}
	})
	if fields < 60 {
		t.Errorf("%d fields were looked at", fields)
	}
}

// TestIssuerEqual shows that a change of any field of an Issuer makes it another
// configuration.
func TestIssuerEqual(t *testing.T) {
	kind := reflect.TypeFor[Issuer]()
	for i := range kind.NumField() {
		var given Issuer
		fill(t, reflect.ValueOf(&given).Elem())
		changed := given.clone()
		reflect.ValueOf(&changed).Elem().Field(i).SetZero()
		if changed.equal(&given) {
			t.Errorf("a change of Issuer.%s is none", kind.Field(i).Name)
		}
		if field := reflect.ValueOf(&changed).Elem().Field(i); field.Kind() == reflect.Slice {
			field.Set(reflect.MakeSlice(field.Type(), 0, 0))
			none := given.clone()
			reflect.ValueOf(&none).Elem().Field(i).SetZero()
			if changed.equal(&none) {
				t.Errorf("nil and empty Issuer.%s are the same", kind.Field(i).Name)
			}
		}
	}
	given := Issuer{HTTPClient: &http.Client{}}
	if other := (Issuer{HTTPClient: &http.Client{}}); given.equal(&other) {
		t.Error("two clients are the same")
	}
}
