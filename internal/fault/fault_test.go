package fault_test

import (
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/fault"
)

func TestError(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		add  func(fault.List)
		want string
	}{
		{"whole", func(l fault.List) { l.Add("is empty", "fill it in") }, "room: is empty; fill it in"},
		{"field", func(l fault.List) { l.At("Issuers").Add("is empty", "list some") }, "room: Issuers is empty; list some"},
		{"element", func(l fault.List) { l.At("Issuers").Atf("[%d]", 1).At("URL").Add("is empty", "") }, "room: Issuers[1].URL is empty"},
		{"format", func(l fault.List) { l.At("Max").Addf("use 1 to 9", "is %d", 12) }, "room: Max is 12; use 1 to 9"},
		{"merge", func(l fault.List) {
			other := fault.In("other")
			other.At("Deep").Add("is bad", "mend it")
			l.At("Part").Merge(other.Err())
		}, "room: Part.Deep is bad; mend it"},
		{"merge of a plain error", func(l fault.List) { l.At("Part").Merge(errors.New("broke")) }, "room: Part broke"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			l := fault.In("room")
			test.add(l)
			if err := l.Err(); err == nil || err.Error() != test.want {
				t.Errorf("Err() = %v, want %q", err, test.want)
			}
		})
	}
}

func TestNone(t *testing.T) {
	t.Parallel()
	l := fault.In("room")
	l.At("Part").Merge(nil)
	if err := l.Err(); err != nil {
		t.Errorf("Err() = %v, want nil", err)
	}
	if all := fault.All(nil); all != nil {
		t.Errorf("All(nil) = %v, want none", all)
	}
}

func TestAll(t *testing.T) {
	t.Parallel()
	l := fault.In("room")
	l.At("A").Add("is bad", "mend it")
	l.At("B").Addf("mend it", "cannot be read: %w", fs.ErrNotExist)
	err := errors.Join(l.Err(), errors.New("plain"))
	all := fault.All(err)
	if got, want := fmt.Sprint(all), "[room: A is bad; mend it room: B cannot be read: file does not exist; mend it plain]"; got != want {
		t.Errorf("All = %s, want %s", got, want)
	}
	if found, ok := errors.AsType[fault.Fault](err); !ok || found.Path != "A" || found.Problem != "is bad" || found.Mend != "mend it" {
		t.Errorf("errors.AsType = %+v, %t, want the fault of A", found, ok)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		t.Error("the cause of a fault is not found by errors.Is")
	}
}
