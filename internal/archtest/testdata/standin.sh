#!/bin/sh
# Stands in for the programs that the Makefile and .ci/run call: go, gofmt, git, npm,
# golangci-lint, buf and the programs of this repository. It appends each call to the file $CALLS. A call that starts with
# $PLANT_CALL prints $PLANT_TEXT and exits with $PLANT_STATUS, the first $PLANT_TIMES times. Other calls
# do and print what the callers need, and succeed; the call with the number $FAIL_AT fails then.
name=${0##*/}
call="$name $*"
n=1
planted=1
while read -r earlier; do
	n=$((n + 1))
	case $earlier in "$PLANT_CALL"*) planted=$((planted + 1)) ;; esac
done <"$CALLS"
echo "$call" >>"$CALLS"

if [ -n "$PLANT_CALL" ] && [ "$planted" -le "$PLANT_TIMES" ]; then
	case $call in "$PLANT_CALL"*)
		printf '%s\n' "$PLANT_TEXT"
		exit "$PLANT_STATUS"
		;;
	esac
fi

case $call in
"go list -m"*)
	echo "$ROOT"
	[ "$GOWORK" = off ] || echo "$ROOT/nested"
	;;
"go env CGO_ENABLED") echo 1 ;;
"go build -o "*) cp "$0" "$3" ;;
"go list -f "*) echo example.com/m/a ;;
"go install "*/buf@*) cp "$0" "$GOBIN/buf" ;;
"go install "*) cp "$0" "$GOBIN/golangci-lint" ;;
"go test -list "*) printf 'FuzzOne\nFuzzTwo\nok  \texample.com/m/a\t0.1s\n?   \texample.com/m/b\t[no test files]\nFuzzThree\nok  \texample.com/m/c\t0.1s\n' ;;
"go test -count=1 -v -run "*) cat "$ROOT/vectors/output" ;;
"go test -count=1 -v ./internal/alertrules") cat "$ROOT/alerts/output" ;;
"go test -count=1 -v ./interop") cat "$ROOT/interop/output" ;;
"git "*" status "*) ;;
"git "*) printf 'a.go\0' ;;
"sallyport verify "*) cat "$ROOT/examples/verify/expected.ndjson" ;;
esac

if [ "$n" = "$FAIL_AT" ]; then
	echo "planted failure of call $n: $call" >&2
	exit 3
fi
