package protopolicy

import (
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/sallyport-auth/sallyport/internal/fault"
	"github.com/sallyport-auth/sallyport/protopolicy/sallyportv1"
	"github.com/sallyport-auth/sallyport/scopes"
)

// Methods returns the policies that the .proto files of services declare, by the full
// name of the method: "/orders.v1.OrderService/GetOrder". A method without a policy is
// left out, as the package comment says.
//
// The services are generated, such as
// orderspb.File_orders_v1_orders_proto.Services().ByName("OrderService"), or
// descriptors that were loaded at run time. Methods finds a policy also where the
// loader did not know the option.
//
// The error has all faults at once, each a [validator.Fault] whose Path starts with the
// method, or with the name of the service for its default. Faults are, besides those of
// the policies: an option that demands nothing, one with a field that this version does
// not know, one that is not encoded as this version expects, and one that the loader
// has not interpreted. A default is checked even if every method has its own policy.
// With a fault there is no result.
//
// Methods does not check that the descriptors are those of the services that a server
// registers.
func Methods(services ...protoreflect.ServiceDescriptor) (map[string]scopes.Policy, error) {
	faults := fault.In("protopolicy")
	if len(services) == 0 {
		faults.Add("has no services", "pass the descriptors of the services that the server registers")
	}
	all := make(map[string]scopes.Policy)
	seen := make(map[protoreflect.FullName]bool)
	for i, service := range services {
		if service == nil || service.IsPlaceholder() {
			faults.Atf("[%d]", i).Add("is nil or a placeholder", "correct the name given to ByName, which returns nil for a service that the file does not have, or load the file with all its imports")
			continue
		}
		name := service.FullName()
		if seen[name] {
			faults.At(string(name)).Add("is passed twice", "pass it once")
			continue
		}
		seen[name] = true
		addService(faults, service, all)
	}
	if err := faults.Err(); err != nil {
		return nil, err
	}
	return all, nil
}

// addService adds the policies of the methods of service to all.
func addService(faults fault.List, service protoreflect.ServiceDescriptor, all map[string]scopes.Policy) {
	name := string(service.FullName())
	checkImports(faults.At(name), service.ParentFile())
	byDefault, hasDefault := policyOf(faults.At(name), service, sallyportv1.E_DefaultPolicy.TypeDescriptor())
	methods := service.Methods()
	for i := range methods.Len() {
		method := methods.Get(i)
		fullMethod := "/" + name + "/" + string(method.Name())
		policy, found := policyOf(faults.At(fullMethod), method, sallyportv1.E_Policy.TypeDescriptor())
		switch {
		case found:
			all[fullMethod] = policy
		case hasDefault:
			all[fullMethod] = byDefault
		}
	}
}

// policyOf returns the policy that descriptor has in option. It reports false if the
// option is not set.
func policyOf(faults fault.List, descriptor protoreflect.Descriptor, option protoreflect.ExtensionDescriptor) (scopes.Policy, bool) {
	raw, found := rawOption(faults, descriptor, option)
	if !found {
		return scopes.Policy{}, false
	}
	faults = faults.At(string(option.Name()))
	declared := decoded(faults, raw)
	if declared == nil {
		return scopes.Policy{}, true
	}
	return outermost(faults, declared), true
}
