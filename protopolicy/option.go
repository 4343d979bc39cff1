package protopolicy

import (
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/sallyport-auth/sallyport/internal/fault"
	"github.com/sallyport-auth/sallyport/protopolicy/sallyportv1"
)

// uninterpretedOption is the number of uninterpreted_option in every message of
// options: what a compiler has parsed and not resolved yet.
const uninterpretedOption protowire.Number = 999

// rawOption returns the bytes of option among the options of descriptor. It reports
// false if the option is not set there, or if it adds a fault.
//
// It reads the encoded options, because the loader of a descriptor decides what kind of
// message they are: one with the generated extension, one with an extension that was
// made at run time, or one with bytes that the loader did not know.
func rawOption(faults fault.List, descriptor protoreflect.Descriptor, option protoreflect.ExtensionDescriptor) (raw []byte, found bool) {
	options := descriptor.Options()
	if options == nil {
		return nil, false
	}
	checkNumbers(faults, options, option)
	encoded, err := proto.MarshalOptions{AllowPartial: true}.Marshal(options)
	if err != nil {
		faults.Add("has options that cannot be encoded", reload)
		return nil, false
	}
	for len(encoded) > 0 {
		number, kind, tag := protowire.ConsumeTag(encoded)
		size := -1
		if tag > 0 {
			size = protowire.ConsumeFieldValue(number, kind, encoded[tag:])
		}
		switch {
		case size < 0:
			faults.Add("has options that cannot be decoded", reload)
			return nil, false
		case number == uninterpretedOption:
			faults.Add("has options that were not interpreted, and a policy may be among them",
				"compile it with protoc, buf or the linker of the library that parsed it")
			return nil, false
		case number == option.Number() && kind != protowire.BytesType:
			faults.Addf(recompile, "has option %d, which is no message", number)
			return nil, false
		case number == option.Number():
			part, _ := protowire.ConsumeBytes(encoded[tag:])
			raw, found = append(raw, part...), true // the parts of a message are merged so
		}
		encoded = encoded[tag+size:]
	}
	return raw, found
}

// reload is the mend of options that are damaged.
const reload = "load its descriptor again"

// checkNumbers adds a fault if options has an extension of another name with the
// number of option, or option with another number.
func checkNumbers(faults fault.List, options proto.Message, option protoreflect.ExtensionDescriptor) {
	options.ProtoReflect().Range(func(field protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
		name, number := field.FullName(), field.Number()
		if name != option.FullName() && number == option.Number() {
			faults.Addf("give that option another number", "has option %s with number %d, which is that of %s", name, number, option.FullName())
		}
		checkNumber(faults, field, option)
		return true
	})
}

// checkNumber adds a fault if declared is option with another number.
func checkNumber(faults fault.List, declared protoreflect.FieldDescriptor, option protoreflect.ExtensionDescriptor) {
	if declared.FullName() == option.FullName() && declared.Number() != option.Number() {
		faults.Addf(recompile, "was compiled with number %d of option %s, not %d", declared.Number(), option.FullName(), option.Number())
	}
}

// recompile is the mend of what another version of the option's file has caused.
const recompile = "compile it with sallyport/v1/policy.proto of this version"

// checkImports adds a fault for each option that has another number in the files that
// file imports. It finds options that the loader of file has kept as unknown bytes.
func checkImports(faults fault.List, file protoreflect.FileDescriptor) {
	if file == nil {
		return
	}
	imports := file.Imports()
	for i := range imports.Len() {
		from := imports.Get(i)
		if from.Path() == sallyportv1.File_sallyport_v1_policy_proto.Path() {
			extensions := from.Extensions() // none of a placeholder
			for j := range extensions.Len() {
				checkNumber(faults, extensions.Get(j), sallyportv1.E_Policy.TypeDescriptor())
				checkNumber(faults, extensions.Get(j), sallyportv1.E_DefaultPolicy.TypeDescriptor())
			}
		}
	}
}

// decoded returns the policy that raw encodes, or nil if it has a fault.
func decoded(faults fault.List, raw []byte) *sallyportv1.Policy {
	policy := &sallyportv1.Policy{}
	if err := proto.Unmarshal(raw, policy); err != nil {
		faults.Add("cannot be decoded", recompile)
		return nil
	}
	if hasUnknown(policy.ProtoReflect()) {
		faults.Add("has a field that this version does not know, and would be weaker without it",
			"update the module protopolicy, or "+recompile)
		return nil
	}
	return policy
}

// hasUnknown reports whether m or a message in it has a field that this version does
// not know.
func hasUnknown(m protoreflect.Message) bool {
	unknown := len(m.GetUnknown()) > 0
	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		switch {
		case field.Message() == nil:
		case field.IsList():
			for i := range value.List().Len() {
				unknown = unknown || hasUnknown(value.List().Get(i).Message())
			}
		default:
			unknown = unknown || hasUnknown(value.Message())
		}
		return !unknown
	})
	return unknown
}
