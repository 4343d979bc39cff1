package recordqueue

import "log/slog"

// Sizes in bytes of a record and an attribute, without their texts.
const (
	recordSize = 400 // with the first attributes
	attrSize   = 56
	valueSize  = 64 // of a value whose size is not known, such as an any
)

// Size returns about how much memory a record takes, in bytes. A value of any type but
// string and group counts as 64 bytes.
func Size(record slog.Record) int {
	size := recordSize + len(record.Message)
	record.Attrs(func(attr slog.Attr) bool {
		size += sizeOf(attr)
		return true
	})
	return size
}

func sizeOf(attr slog.Attr) int {
	size := attrSize + len(attr.Key)
	switch attr.Value.Kind() {
	case slog.KindString:
		size += len(attr.Value.String())
	case slog.KindGroup:
		for _, member := range attr.Value.Group() {
			size += sizeOf(member)
		}
	case slog.KindAny, slog.KindLogValuer:
		size += valueSize
	default: // part of the attribute
	}
	return size
}
