package protopolicy_test

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/sallyport-auth/sallyport/protopolicy"
	"github.com/sallyport-auth/sallyport/protopolicy/sallyportv1"
	"github.com/sallyport-auth/sallyport/scopes"
)

// policyFile returns sallyport/v1/policy.proto as a program loads it that does not link
// the generated code. change changes it first.
func policyFile(t *testing.T, change func(*descriptorpb.FileDescriptorProto)) *protoregistry.Files {
	t.Helper()
	declared := protodesc.ToFileDescriptorProto(sallyportv1.File_sallyport_v1_policy_proto)
	change(declared)
	made, err := protodesc.NewFile(declared, protoregistry.GlobalFiles)
	if err != nil {
		t.Fatal(err)
	}
	files := &protoregistry.Files{}
	if err := files.RegisterFile(made); err != nil {
		t.Fatal(err)
	}
	return files
}

// named returns the extension of that name in files.
func named(t *testing.T, files *protoregistry.Files, name protoreflect.FullName) protoreflect.ExtensionType {
	t.Helper()
	found, err := files.FindDescriptorByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return dynamicpb.NewExtensionType(found.(protoreflect.ExtensionDescriptor))
}

// dynamicOptions returns options with extension, which lists the scope "a" in field all.
func dynamicOptions(extension protoreflect.ExtensionType) *descriptorpb.MethodOptions {
	options := &descriptorpb.MethodOptions{}
	value := extension.New()
	value.Message().Mutable(value.Message().Descriptor().Fields().ByName("all")).List().Append(protoreflect.ValueOfString("a"))
	options.ProtoReflect().Set(extension.TypeDescriptor(), value)
	return options
}

// wholly returns options as a message of a descriptor.proto that was loaded at run time.
func wholly(t *testing.T, options *descriptorpb.MethodOptions) proto.Message {
	t.Helper()
	encoded, err := proto.Marshal(options)
	if err != nil {
		t.Fatal(err)
	}
	message := dynamicpb.NewMessage(options.ProtoReflect().Descriptor())
	if err := proto.Unmarshal(encoded, message); err != nil {
		t.Fatal(err)
	}
	return message
}

// replacedOptions is a service whose first method has other options.
type replacedOptions struct {
	protoreflect.ServiceDescriptor

	options protoreflect.ProtoMessage
}

func (s replacedOptions) Methods() protoreflect.MethodDescriptors {
	return replacedMethods{s.ServiceDescriptor.Methods(), s.options}
}

type replacedMethods struct {
	protoreflect.MethodDescriptors

	options protoreflect.ProtoMessage
}

func (m replacedMethods) Get(i int) protoreflect.MethodDescriptor {
	return replacedMethod{m.MethodDescriptors.Get(i), m.options}
}

type replacedMethod struct {
	protoreflect.MethodDescriptor

	options protoreflect.ProtoMessage
}

func (m replacedMethod) Options() protoreflect.ProtoMessage { return m.options }

// TestRunTime covers R-GR-08: options of descriptors which were loaded at run time are read,
// whatever the loader made of them.
func TestRunTime(t *testing.T) {
	t.Parallel()
	unchanged := policyFile(t, func(*descriptorpb.FileDescriptorProto) {})
	options := dynamicOptions(named(t, unchanged, "sallyport.v1.policy"))
	plain := service(t, absent, method{name: "Get", policy: absent})
	for name, loaded := range map[string]protoreflect.ServiceDescriptor{
		"extension made at run time": service(t, absent, method{name: "Get", options: options}),
		"dynamic message of options": replacedOptions{plain, wholly(t, options)},
	} {
		got, err := protopolicy.Methods(loaded)
		if err != nil || !got["/test.v1.Orders/Get"].Equal(scopes.All("a")) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	if got, err := protopolicy.Methods(replacedOptions{plain, nil}); err != nil || len(got) != 0 {
		t.Errorf("no options: %v, %v", got, err)
	}
	if got, err := protopolicy.Methods(fileless{service(t, absent, method{name: "Get", policy: `all: "a"`})}); err != nil || len(got) != 1 {
		t.Errorf("no file: %v, %v", got, err)
	}
	placeholder := placeholderService(t)
	if got, err := protopolicy.Methods(placeholder); got != nil || len(faults(t, err)) != 1 {
		t.Errorf("placeholder: %v, %v", got, err)
	}
}

// fileless is a service that is in no file.
type fileless struct{ protoreflect.ServiceDescriptor }

func (fileless) ParentFile() protoreflect.FileDescriptor { return nil }

// placeholder is a service of a file that was not loaded.
type placeholder struct{ protoreflect.ServiceDescriptor }

func (placeholder) IsPlaceholder() bool { return true }

func placeholderService(t *testing.T) protoreflect.ServiceDescriptor {
	t.Helper()
	return placeholder{service(t, absent, method{name: "Get", policy: `all: "a"`})}
}

// TestOtherNumbers covers R-GR-08: an option of ours with another number, and an option of
// somebody else with our number, are refused and not overlooked.
func TestOtherNumbers(t *testing.T) {
	t.Parallel()
	older := policyFile(t, func(declared *descriptorpb.FileDescriptorProto) {
		for _, extension := range declared.GetExtension() {
			extension.Number = new(int32(70000))
		}
	})
	foreign := policyFile(t, func(declared *descriptorpb.FileDescriptorProto) {
		declared.GetExtension()[0].Name, declared.GetExtension()[0].JsonName = new("other"), nil
	})
	imports := func(options *descriptorpb.MethodOptions, files protodesc.Resolver) protoreflect.ServiceDescriptor {
		return file(t, &descriptorpb.FileDescriptorProto{
			Dependency: []string{"sallyport/v1/policy.proto"},
			Service: []*descriptorpb.ServiceDescriptorProto{{Name: new("Orders"), Method: []*descriptorpb.MethodDescriptorProto{{
				Name: new("Get"), InputType: new(".test.v1.Empty"), OutputType: new(".test.v1.Empty"), Options: options,
			}}}},
		}, files).Services().Get(0)
	}
	const recompile = "; compile it with sallyport/v1/policy.proto of this version"
	imported := []string{
		"test.v1.Orders was compiled with number 70000 of option sallyport.v1.policy, not 93174" + recompile,
		"test.v1.Orders was compiled with number 70000 of option sallyport.v1.default_policy, not 93174" + recompile,
	}
	own := "/test.v1.Orders/Get was compiled with number 70000 of option sallyport.v1.policy, not 93174" + recompile
	for _, row := range []struct {
		name    string
		service protoreflect.ServiceDescriptor
		want    []string
	}{
		{"unknown bytes", imports(unread(bytesField(70000, bytesField(4, []byte("a")))), older), imported},
		{"another number", service(t, absent, method{name: "Get", options: dynamicOptions(named(t, older, "sallyport.v1.policy"))}), []string{own}},
		{
			"another name", service(t, absent, method{name: "Get", options: dynamicOptions(named(t, foreign, "sallyport.v1.other"))}),
			[]string{"/test.v1.Orders/Get has option sallyport.v1.other with number 93174, which is that of sallyport.v1.policy; give that option another number"},
		},
	} {
		got, err := protopolicy.Methods(row.service)
		if texts := faults(t, err); got != nil || !sameFaults(texts, row.want) {
			t.Errorf("%s: %v, %q; want %q", row.name, got, texts, row.want)
		}
	}
}

func sameFaults(a, b []string) bool {
	return strings.Join(slices.Sorted(slices.Values(a)), "\n") == strings.Join(slices.Sorted(slices.Values(b)), "\n")
}
