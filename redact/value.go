package redact

import (
	"crypto"
	"encoding"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sallyport-auth/sallyport/internal/secretnames"
)

// Bounds of what is looked at in one value.
const (
	maxDepth  = 8
	maxGroups = 64 // groups in groups
	maxParts  = 1000
)

// leftOut stands where the bounds were reached.
const leftOut = "[left out]"

// isSecret reports whether name is that of a credential.
func (h *Handler) isSecret(name string) bool {
	return secretnames.Is(name) || slices.ContainsFunc(h.names, func(known string) bool { return strings.EqualFold(name, known) })
}

// text returns s redacted; secret means that its name is that of a credential.
func text(s string, secret bool) string {
	if secret && s != "" {
		return mark
	}
	return Text(s)
}

// walk redacts one value.
type walk struct {
	handler *Handler
	depth   int
	groups  int // how many groups are open
	left    int // how many more parts are looked at
}

// attr returns a redacted copy of attr. secret means that it is in a group with the name of
// a credential.
func (w *walk) attr(attr slog.Attr, secret bool) slog.Attr {
	// What a type shows of itself in a group is not all secret because of the name of the
	// group.
	chosen := attr.Value.Kind() == slog.KindLogValuer
	key, value := Text(attr.Key), attr.Value.Resolve() // arguments in the wrong order make a value a key
	named := secret || w.handler.isSecret(attr.Key)
	switch value.Kind() {
	case slog.KindString:
		return slog.String(key, text(value.String(), named))
	case slog.KindGroup:
		return w.group(key, value.Group(), named && !chosen)
	case slog.KindAny:
		inner := walk{handler: w.handler, left: maxParts}
		return slog.Any(key, inner.value(value.Any(), named))
	default: // numbers, times and booleans
		return slog.Attr{Key: key, Value: value}
	}
}

// group returns a group with redacted members.
func (w *walk) group(key string, members []slog.Attr, secret bool) slog.Attr {
	if w.groups >= maxGroups {
		return slog.String(key, leftOut)
	}
	w.groups++
	defer func() { w.groups-- }()
	redacted := make([]slog.Attr, 0, min(len(members), maxParts))
	for _, member := range members {
		if w.left <= 0 {
			redacted = append(redacted, slog.String(leftOut, leftOut))
			break
		}
		w.left--
		redacted = append(redacted, w.attr(member, secret))
	}
	return slog.Attr{Key: key, Value: slog.GroupValue(redacted...)}
}

// value returns what is logged instead of v. secret means that its name is that of a
// credential.
func (w *walk) value(v any, secret bool) (redacted any) {
	if w.depth >= maxDepth || w.left <= 0 {
		return leftOut
	}
	w.depth++
	w.left--
	defer func() {
		w.depth--
		if recover() != nil { // a method of v; the value of the panic may be secret
			redacted = fmt.Sprintf("[%T whose methods panic]", v)
		}
	}()
	if v == nil {
		return nil
	}
	if s, ok := w.ownText(v, secret); ok {
		return s
	}
	return w.reflected(reflect.ValueOf(v), secret)
}

// ownText returns the text of a value that writes itself. ok is false for any other.
func (w *walk) ownText(v any, secret bool) (redacted any, ok bool) {
	switch v := v.(type) {
	case time.Time, time.Duration:
		return v, true
	case slog.LogValuer:
		return w.resolved(slog.AnyValue(v).Resolve(), secret), true
	case slog.Attr:
		return w.resolved(slog.GroupValue(v), false), true
	case interface{ Public() crypto.PublicKey }:
		return privateKey(v), true
	case *http.Cookie:
		return cookie(v), true
	case http.Cookie:
		return cookie(&v), true
	case slog.Value:
		return w.resolved(v.Resolve(), secret), true
	case url.URL:
		return text(URL(&v), secret), true
	case *url.URL:
		return text(URL(v), secret), true
	case error:
		return text(v.Error(), secret), true
	case encoding.TextMarshaler:
		if b, err := v.MarshalText(); err == nil {
			return text(string(b), secret), true
		}
	case interface{ MarshalJSON() ([]byte, error) }:
		if b, err := v.MarshalJSON(); err == nil {
			return text(string(b), secret), true
		}
	case fmt.Stringer:
		return text(v.String(), secret), true
	case fmt.Formatter:
		return text(fmt.Sprintf("%+v", v), secret), true
	}
	return nil, false
}

// resolved returns a resolved value of slog as maps and plain values.
func (w *walk) resolved(v slog.Value, secret bool) any {
	if v.Kind() != slog.KindGroup {
		return w.value(v.Any(), secret)
	}
	all := map[string]any{}
	if w.depth >= maxDepth {
		return leftOut
	}
	w.depth++
	defer func() { w.depth-- }()
	for _, attr := range v.Group() {
		if w.left--; w.left <= 0 {
			break
		}
		all[Text(attr.Key)] = w.resolved(attr.Value.Resolve(), w.handler.isSecret(attr.Key))
	}
	return all
}

// reflected returns what is logged instead of a value without methods for that.
func (w *walk) reflected(v reflect.Value, secret bool) any {
	switch v.Kind() {
	case reflect.String:
		return text(v.String(), secret)
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return nil
		}
		return w.value(v.Elem().Interface(), secret)
	case reflect.Slice, reflect.Array:
		return w.list(v, secret)
	case reflect.Map:
		all := map[string]any{}
		for _, key := range v.MapKeys() {
			if w.left <= 0 {
				all[leftOut] = leftOut
				break
			}
			name := fmt.Sprint(w.value(key.Interface(), false))
			all[name] = w.value(v.MapIndex(key).Interface(), secret || w.handler.isSecret(name))
		}
		return all
	case reflect.Struct:
		if reflect.PointerTo(v.Type()).Implements(keyType) {
			return privateKey(v.Interface())
		}
		return w.fields(v, secret)
	case reflect.Func, reflect.Chan, reflect.UnsafePointer:
		return "[" + v.Type().String() + "]"
	default: // numbers and booleans
		return v.Interface()
	}
}

// list returns the elements of a list; of bytes, the text.
func (w *walk) list(v reflect.Value, secret bool) any {
	if v.Type().Elem().Kind() == reflect.Uint8 {
		b := make([]byte, v.Len())
		reflect.Copy(reflect.ValueOf(b), v)
		return bytesText(b, secret)
	}
	all := []any{}
	for i := range v.Len() {
		if w.left <= 0 {
			return append(all, leftOut)
		}
		all = append(all, w.value(v.Index(i).Interface(), secret))
	}
	return all
}

// fields returns the exported fields of a struct. Their names are those of the member in
// JSON, if a tag gives one.
func (w *walk) fields(v reflect.Value, secret bool) any {
	all := map[string]any{}
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if !field.IsExported() {
			continue
		}
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch name {
		case "-":
			continue
		case "":
			name = field.Name
		}
		all[name] = w.value(v.Field(i).Interface(), secret || w.handler.isSecret(field.Name) || w.handler.isSecret(name))
	}
	return all
}

// bytesText returns bytes as redacted text, and their number if they are none.
func bytesText(b []byte, secret bool) string {
	if !utf8.Valid(b) {
		return fmt.Sprintf("[%d bytes]", len(b))
	}
	return text(string(b), secret)
}
