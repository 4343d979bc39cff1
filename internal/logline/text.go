package logline

import (
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/sallyport-auth/sallyport/internal/hook"
)

// maxText is the length of the longest text of an attribute, in bytes.
const maxText = 2048

// Text returns an attribute whose value is text as [Printable] returns it.
func Text(key, text string) slog.Attr { return slog.String(key, Printable(text)) }

// Texts returns an attribute of several texts, separated by commas.
func Texts(key string, texts []string) slog.Attr { return Text(key, strings.Join(texts, ", ")) }

// Error returns an attribute with the text of err. An error whose methods panic is named by
// its type.
func Error(key string, err error) slog.Attr {
	if err = hook.CheckError(err); err == nil {
		return slog.Attr{} // which handlers leave out
	}
	return Text(key, err.Error())
}

// Printable returns text on one line, with everything but printable characters escaped as
// in Go. Errors that were joined are separated by "; ". A text of more than 2 048 bytes is
// cut, and its length is told.
func Printable(text string) string {
	all := text
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "")
	}
	if strings.ContainsFunc(text, isUnprintable) || !utf8.ValidString(text) {
		quoted := strconv.Quote(strings.ReplaceAll(text, "\n", "; "))
		text = strings.NewReplacer(`\"`, `"`, `\\`, `\`).Replace(quoted[1 : len(quoted)-1])
	}
	if len(all) > maxText {
		text += fmt.Sprintf("… (%d bytes)", len(all))
	}
	return text
}

func isUnprintable(r rune) bool { return !strconv.IsPrint(r) }
