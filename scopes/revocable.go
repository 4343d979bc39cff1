package scopes

import "sync"

// revocable returns operation with a Value that returns "" once revoke has
// returned. revoke waits for calls of Value that have started.
func revocable(operation Operation) (_ Operation, revoke func()) {
	if operation.Value == nil {
		return operation, func() {}
	}
	v := &revocableValue{read: operation.Value}
	operation.Value = v.value
	return operation, v.revoke
}

// revocableValue is the Value of an Operation until it is revoked.
type revocableValue struct {
	mu   sync.Mutex
	read func(name string) string // nil: it was revoked
}

func (v *revocableValue) value(name string) string {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.read == nil {
		return ""
	}
	return v.read(name)
}

func (v *revocableValue) revoke() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.read = nil
}
