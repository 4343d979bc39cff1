package protopolicy_test

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/sallyport-auth/sallyport/protopolicy"
	"github.com/sallyport-auth/sallyport/protopolicy/sallyportv1"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// method is a method under test. policy is what stands in braces in the .proto file; no
// policy is none.
type method struct {
	name, policy string
	options      *descriptorpb.MethodOptions // instead of policy
}

// absent stands for a default that is not there.
const absent = "-"

// parsed returns the message of an option that is written in the text format.
func parsed(t *testing.T, text string) *sallyportv1.Policy {
	t.Helper()
	policy := &sallyportv1.Policy{}
	if err := prototext.Unmarshal([]byte(text), policy); err != nil {
		t.Fatal(err)
	}
	return policy
}

// service returns the descriptor of test.v1.Orders.
func service(t *testing.T, byDefault string, methods ...method) protoreflect.ServiceDescriptor {
	t.Helper()
	declared := &descriptorpb.ServiceDescriptorProto{Name: new("Orders")}
	if byDefault != absent {
		declared.Options = &descriptorpb.ServiceOptions{}
		proto.SetExtension(declared.GetOptions(), sallyportv1.E_DefaultPolicy, parsed(t, byDefault))
	}
	for _, m := range methods {
		options := m.options
		if options == nil && m.policy != absent {
			options = &descriptorpb.MethodOptions{}
			proto.SetExtension(options, sallyportv1.E_Policy, parsed(t, m.policy))
		}
		declared.Method = append(declared.Method, &descriptorpb.MethodDescriptorProto{
			Name: new(m.name), InputType: new(".test.v1.Empty"), OutputType: new(".test.v1.Empty"), Options: options,
		})
	}
	return file(t, &descriptorpb.FileDescriptorProto{
		Service:    []*descriptorpb.ServiceDescriptorProto{declared},
		Dependency: []string{"sallyport/v1/policy.proto"},
	}, protoregistry.GlobalFiles).Services().Get(0)
}

// file returns the descriptor of a file of package test.v1.
func file(t *testing.T, declared *descriptorpb.FileDescriptorProto, imports protodesc.Resolver) protoreflect.FileDescriptor {
	t.Helper()
	declared.Name, declared.Package, declared.Syntax = new("test/v1/test.proto"), new("test.v1"), new("proto3")
	declared.MessageType = []*descriptorpb.DescriptorProto{{Name: new("Empty")}}
	made, err := protodesc.NewFile(declared, imports)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// TestForms covers R-GR-08 and R-SU-01: which policy each option declares.
func TestForms(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		declared string
		want     scopes.Policy
	}{
		{`public: true`, scopes.Public()},
		{`authenticated: true`, scopes.Authenticated()},
		{`authenticated: true, optional: true`, scopes.Optional(scopes.Authenticated())},
		{`all: "a"`, scopes.All("a")},
		{`all: ["b", "a"]`, scopes.All("b", "a")},
		{`any: ["b", "a"]`, scopes.Any("b", "a")},
		{`all_roles: ["b", "a"]`, scopes.Roles("b", "a")},
		{`any_roles: ["b", "a"]`, scopes.AnyRole("b", "a")},
		{`acr: ["gold", "silver"]`, scopes.ACR("gold", "silver")},
		{`mfa: "gold"`, scopes.MFA("gold")},
		{`max_auth_age: {seconds: 300}`, scopes.MaxAuthAge(300e9)},
		{`active_within: {seconds: 1, nanos: 500000000}`, scopes.FreshlyActive(1500e6)},
		{`active_within: {}`, scopes.FreshlyActive(0)},
		{`audiences: ["x", "y"]`, scopes.Audience("x", "y")},
		{`authenticated: true, all: "a"`, scopes.All("a")},
		{`optional: true, all: "a", any: ["b", "c"]`, scopes.Optional(scopes.And(scopes.All("a"), scopes.Any("b", "c")))},
		{`all_of: {all: "a"}`, scopes.All("a")},
		{`any_of: [{all: "a"}, {authenticated: true, all_roles: "r"}]`, scopes.Or(scopes.All("a"), scopes.Roles("r"))},
		{`all_of: [{any: "a"}, {any: "b"}]`, scopes.And(scopes.Any("a"), scopes.Any("b"))},
		{
			`any_of: [{all: ["a", "b"]}, {all_of: [{all: "c"}, {any_of: {acr: "gold"}}]}], all: "d"`,
			scopes.And(scopes.All("d"), scopes.Or(scopes.All("a", "b"), scopes.And(scopes.All("c"), scopes.Or(scopes.ACR("gold"))))),
		},
		{
			`all: "a", any: "b", all_roles: "c", any_roles: "d", acr: "e", mfa: "e", max_auth_age: {seconds: 1}, active_within: {seconds: 2},
			 audiences: "f", all_of: {all: "g"}, any_of: {all: "h"}, authenticated: true, optional: true`,
			scopes.Optional(scopes.And(scopes.All("a"), scopes.Any("b"), scopes.Roles("c"), scopes.AnyRole("d"), scopes.ACR("e"), scopes.MFA("e"),
				scopes.MaxAuthAge(1e9), scopes.FreshlyActive(2e9), scopes.Audience("f"), scopes.All("g"), scopes.Or(scopes.All("h")))),
		},
	} {
		if err := row.want.Err(); err != nil {
			t.Fatal(err)
		}
		got, err := protopolicy.Methods(service(t, absent, method{name: "Get", policy: row.declared}))
		if err != nil || len(got) != 1 || !got["/test.v1.Orders/Get"].Equal(row.want) {
			t.Errorf("%s: %v, %v; want %v", row.declared, got, err, row.want)
		}
		byDefault, err := protopolicy.Methods(service(t, row.declared, method{name: "Get", policy: absent}))
		if err != nil || len(byDefault) != 1 || !byDefault["/test.v1.Orders/Get"].Equal(row.want) {
			t.Errorf("%s, as the default: %v, %v; want %v", row.declared, byDefault, err, row.want)
		}
	}
}

// TestEveryField shows that TestForms has each field, so that a field that is added to
// the .proto file is not forgotten in Go.
func TestEveryField(t *testing.T) {
	t.Parallel()
	described := (&sallyportv1.Policy{}).ProtoReflect().Descriptor().Fields()
	var names []string
	for i := range described.Len() {
		names = append(names, string(described.Get(i).Name()))
	}
	want := []string{
		"public", "authenticated", "optional", "all", "any", "all_roles", "any_roles", "acr", "mfa",
		"max_auth_age", "active_within", "audiences", "all_of", "any_of",
	}
	if !slices.Equal(names, want) {
		t.Errorf("%v; want %v: add a row to TestForms and a case to TestFaults", names, want)
	}
}

// TestDefault covers R-GR-08: a method's policy replaces the default, and a method
// without either has none.
func TestDefault(t *testing.T) {
	t.Parallel()
	methods := []method{
		{name: "Get", policy: absent},
		{name: "Delete", policy: `all: "orders:delete"`},
		{name: "Health", policy: `public: true`},
	}
	got, err := protopolicy.Methods(service(t, `all: "orders:read"`, methods...))
	want := map[string]scopes.Policy{
		"/test.v1.Orders/Get":    scopes.All("orders:read"),
		"/test.v1.Orders/Delete": scopes.All("orders:delete"),
		"/test.v1.Orders/Health": scopes.Public(),
	}
	if err != nil || !maps.EqualFunc(got, want, scopes.Policy.Equal) {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
	delete(want, "/test.v1.Orders/Get")
	got, err = protopolicy.Methods(service(t, absent, methods...))
	if err != nil || !maps.EqualFunc(got, want, scopes.Policy.Equal) {
		t.Errorf("without a default: %v, %v; want %v", got, err, want)
	}
}

// faults returns the texts of the faults in err.
func faults(t *testing.T, err error) []string {
	t.Helper()
	var texts []string
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, part := range joined.Unwrap() {
			if _, ok := errors.AsType[validator.Fault](part); !ok {
				t.Errorf("%v is no validator.Fault", part)
			}
			texts = append(texts, strings.TrimPrefix(part.Error(), "protopolicy: "))
		}
	}
	return texts
}

// TestFaults covers R-GR-08: which options are refused.
func TestFaults(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		declared string
		want     []string // starts of the faults, below the option
	}{
		{``, []string{" demands nothing; name the scopes"}},
		{`public: false`, []string{" demands nothing"}},
		{`optional: true`, []string{".optional is the only field"}},
		{`public: true, optional: true`, []string{".public is not the only field"}},
		{`public: true, all: "a"`, []string{".public is not the only field"}},
		{`all: ""`, []string{`.all[0] "" is not a scope token`}},
		{`all: ["a", "a b"], any: ["c", "c"]`, []string{`.all[1] "a b" is not a scope token`, `.any[1] "c" is listed twice`}},
		{`all_roles: "", any_roles: ""`, []string{".all_roles[0] is empty", ".any_roles[0] is empty"}},
		{`acr: "a b", mfa: ""`, []string{`.acr[0] "a b" cannot`, ".mfa[0] is empty"}},
		{`acr: "a", mfa: "b"`, []string{" has ACR or MFA parts"}},
		{`max_auth_age: {}`, []string{".max_auth_age is 0s, not a number of whole seconds"}},
		{`max_auth_age: {nanos: 1}`, []string{".max_auth_age is 1ns"}},
		{`max_auth_age: {seconds: 1, nanos: -1}`, []string{".max_auth_age is no duration of protobuf"}},
		{`max_auth_age: {seconds: 315576000000}`, []string{".max_auth_age is 2562047h47m16.854775807s"}},
		{`active_within: {seconds: -1}`, []string{".active_within is -1s"}},
		{`active_within: {seconds: -1, nanos: 1}`, []string{".active_within is no duration of protobuf"}},
		{`audiences: ""`, []string{".audiences[0] is empty"}},
		{`audiences: "a", all_of: {audiences: "b"}`, []string{" has two Audience parts"}},
		{`all_of: {}`, []string{".all_of[0] demands nothing"}},
		{`all_of: [{all: "a"}, {public: true}]`, []string{".all_of[1] has public or optional"}},
		{`any_of: {all: "a", optional: true}`, []string{".any_of[0] has public or optional"}},
		{`any_of: [{all: "a"}, {}]`, []string{".any_of[1] demands nothing"}},
		{`any_of: [{all: "a"}, {active_within: {}}]`, []string{".any_of[1] is FreshlyActive(0s)"}},
		{`any_of: [{all: "a"}, {audiences: "b"}]`, []string{`.any_of[1] is Audience("b")`}},
		{`all: "", any_of: {all_of: {any: ""}}`, []string{`.all[0] "" is not a scope token`, `.any_of[0].all_of[0].any[0] "" is not a scope token`}},
	} {
		for _, where := range []string{"/test.v1.Orders/Get.policy", "test.v1.Orders.default_policy"} {
			byDefault, own := absent, row.declared
			if strings.HasSuffix(where, ".default_policy") {
				byDefault, own = row.declared, `all: "a"` // a default that no method has is checked, too
			}
			got, err := protopolicy.Methods(service(t, byDefault, method{name: "Get", policy: own}))
			texts := faults(t, err)
			if got != nil || len(texts) != len(row.want) {
				t.Errorf("%s: %v, %q; want %q", row.declared, got, texts, row.want)
				continue
			}
			for i, want := range row.want {
				if !strings.HasPrefix(texts[i], where+want) || !strings.Contains(texts[i], "; ") {
					t.Errorf("%s: %q; want %q and a mend", row.declared, texts[i], where+want)
				}
			}
		}
	}
}

// TestAllFaults shows that the faults of all methods and services are reported at once.
func TestAllFaults(t *testing.T) {
	t.Parallel()
	orders := service(t, ``, method{name: "Get", policy: ``}, method{name: "List", policy: `all: "a"`}, method{name: "Delete", policy: `all_roles: ""`})
	got, err := protopolicy.Methods(orders, nil, orders)
	want := []string{
		"test.v1.Orders.default_policy demands nothing; name the scopes, or set authenticated or public",
		"/test.v1.Orders/Get.policy demands nothing; name the scopes, or set authenticated or public",
		"/test.v1.Orders/Delete.policy.all_roles[0] is empty; remove it, or fill it in",
		"[1] is nil or a placeholder; correct the name given to ByName, which returns nil for a service that the file does not have, or load the file with all its imports",
		"test.v1.Orders is passed twice; pass it once",
	}
	if texts := faults(t, err); got != nil || !slices.Equal(texts, want) {
		t.Errorf("%v, %q; want %q", got, texts, want)
	}
	if got, err := protopolicy.Methods(); got != nil || len(faults(t, err)) != 1 {
		t.Errorf("without services: %v, %v", got, err)
	}
}

// optionNumber is the number of both options.
const optionNumber protowire.Number = 93174

// unread returns options whose loader did not know the extension.
func unread(encoded ...[]byte) *descriptorpb.MethodOptions {
	options := &descriptorpb.MethodOptions{}
	options.ProtoReflect().SetUnknown(slices.Concat(encoded...))
	return options
}

func bytesField(number protowire.Number, value []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), value)
}

func varintField(number protowire.Number, value uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, number, protowire.VarintType), value)
}

// TestEncoded covers R-GR-08: an option which the loader has kept as unknown bytes is read,
// and no such option is read as weaker than it is.
func TestEncoded(t *testing.T) {
	t.Parallel()
	all := func(scope string) []byte { return bytesField(4, []byte(scope)) }
	for _, row := range []struct {
		name    string
		options *descriptorpb.MethodOptions
		want    string // the policy, or the start of the fault below the method
	}{
		{"unknown bytes", unread(bytesField(optionNumber, all("a"))), `All("a")`},
		{"in two parts", unread(bytesField(optionNumber, all("a")), bytesField(optionNumber, all("b"))), `All("a", "b")`},
		{"between others", unread(varintField(50001, 1), bytesField(optionNumber, all("a")), bytesField(72295728, nil)), `All("a")`},
		{"no policy", unread(varintField(50001, 1)), ""},
		{"empty", unread(bytesField(optionNumber, nil)), ".policy demands nothing"},
		{"a field of a newer version", unread(bytesField(optionNumber, slices.Concat(all("a"), varintField(99, 1)))), ".policy has a field that this version does not know"},
		{
			"the same in a nested policy", unread(bytesField(optionNumber, bytesField(14, bytesField(13, slices.Concat(all("a"), varintField(99, 1)))))),
			".policy has a field that this version does not know",
		},
		{
			"the same in a duration", unread(bytesField(optionNumber, bytesField(10, slices.Concat(varintField(1, 60), varintField(3, 1))))),
			".policy has a field that this version does not know",
		},
		{"a known field of another type", unread(bytesField(optionNumber, slices.Concat(all("a"), varintField(5, 1)))), ".policy has a field that this version does not know"},
		{"no message", unread(varintField(optionNumber, 1)), " has option 93174, which is no message"},
		{"no message, then one", unread(varintField(optionNumber, 1), bytesField(optionNumber, all("a"))), " has option 93174, which is no message"},
		{"damaged policy", unread(bytesField(optionNumber, []byte{0x22, 0x7f})), ".policy cannot be decoded"},
		{"no UTF-8", unread(bytesField(optionNumber, all("\xff"))), ".policy cannot be decoded"},
		{"damaged options", unread([]byte{0x22, 0x7f}), " has options that cannot be decoded"},
		{"a damaged tag", unread([]byte{0x80}), " has options that cannot be decoded"},
		{
			"not interpreted",
			&descriptorpb.MethodOptions{UninterpretedOption: []*descriptorpb.UninterpretedOption{{
				Name: []*descriptorpb.UninterpretedOption_NamePart{{NamePart: new("sallyport.v1.policy"), IsExtension: new(true)}},
			}}},
			" has options that were not interpreted",
		},
	} {
		got, err := protopolicy.Methods(service(t, absent, method{name: "Get", options: row.options}))
		text := got["/test.v1.Orders/Get"].String()
		switch {
		case err != nil:
			text = strings.TrimPrefix(strings.Join(faults(t, err), "\n"), "/test.v1.Orders/Get")
		case len(got) == 0:
			text = ""
		}
		if text != row.want && (err == nil || !strings.HasPrefix(text, row.want) || strings.Contains(text, "\n")) {
			t.Errorf("%s: %q; want %q", row.name, text, row.want)
		}
	}
}
