# Needs Go, git and make, and the bash and awk of any Linux or macOS. The modules are those of go.work.

SHELL       := bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DEFAULT_GOAL := all

GOLANGCI_VERSION := v2.15.0
GOLANGCI         := $(CURDIR)/bin/tools/golangci-lint-$(GOLANGCI_VERSION)
BUF_VERSION      := v1.75.0
BUF              := $(CURDIR)/bin/tools/buf-$(BUF_VERSION)

# The short flags of make are the first word of MAKEFLAGS.
ifneq (,$(findstring i,$(filter-out --%,$(firstword -$(MAKEFLAGS)))))
$(error with -i, make succeeds where a test fails; leave -i out, also of MAKEFLAGS)
endif

BIN      ?= bin
FUZZTIME ?= 60s
ROOMS    ?= ./...
ARGS     ?=
VERSION  ?=
INCIDENTS ?= outage rotation compromise

# With GOWORK=off in the environment, the pattern "work" would name the root module only.
export GOWORK := $(CURDIR)/go.work

# Shell code that runs $(1) in the folder of every module, and stops at the first failure.
define in_modules
modules=$$(go list -m -f '{{.Dir}}')
[ -n "$$modules" ] || { echo "go.work names no module" >&2; exit 1; }
while IFS= read -r dir; do
	name=$${dir#$(CURDIR)}; name=$${name#/}
	echo "-- $(2) $${name:-.}"
	(cd "$$dir" && $(1)) </dev/null
done <<<"$$modules"
endef

.PHONY: all
all: lint test ## lint and test (the default)

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "%-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## download the modules of every module
	@$(call in_modules,GOWORK=off go mod download,download)

.PHONY: build
build: ## build bin/sallyport (BIN=folder puts it elsewhere)
	@mkdir -p $(BIN)
	go build -o $(BIN)/sallyport ./cmd/sallyport

.PHONY: demo
demo: ## start an issuer and an API, show what good and bad requests get, serve on (ARGS=--once stops)
	@mkdir -p $(BIN)
	go build -o $(BIN)/sallyport-demo ./cmd/sallyport-demo
	exec $(BIN)/sallyport-demo $(ARGS)

.PHONY: drill
drill: ## practise an outage, a rotation and a compromise of keys (INCIDENTS=outage for one)
	@mkdir -p $(BIN)
	go build -o $(BIN)/sallyport-demo ./cmd/sallyport-demo
	for incident in $(INCIDENTS); do $(BIN)/sallyport-demo drill "$$incident"; done

.PHONY: samples
samples: build ## judge the sample tokens of examples/verify
	@$(BIN)/sallyport verify --config examples/verify/sallyport.yaml --at 1700000000 < examples/verify/tokens.ndjson

.PHONY: test
test: ## run the tests of every module
	@go test work

# The race detector of Go 1.26 itself crashes now and then, when two threads run timers of one
# synctest bubble at the same time (golang/go#78156): a failed check of its own, or a memory fault
# outside Go code. Packages that end so are tested once more, with one thread that runs Go code, so
# that the crash cannot happen. crashed prints these packages. It fails if there is another failure:
# a package that ended without a crash, or a test that failed, a panic or a race in any package.
.PHONY: race
race: ## run the tests of every module under the race detector (needs a C compiler)
	@log=$$(mktemp); trap 'rm -f "$$log"' EXIT
	tested() { go test -race -timeout 25m "$$@" </dev/null 2>&1 | tee "$$log"; }
	crashed() {
		awk -F '\t' '
			/^ok  \t/ { crash = 0 }
			/ThreadSanitizer: CHECK failed/ || /^SIG(SEGV|BUS|ABRT|ILL|FPE|TRAP): / { crash = 1 }
			/DATA RACE/ || /--- FAIL/ || /^panic: / { other = 1 }
			/^FAIL\t/ { if (!crash) other = 1; crash = 0; packages = packages " " $$2 }
			END { if (packages == "" || other) exit 1; print packages }
		' "$$log"
	}
	if ! tested work; then
		packages=$$(crashed) || { echo "FAIL: race" >&2; exit 1; }
		echo "once more, since the race detector crashed:" $$packages
		tested -cpu 1 $$packages
	fi

$(GOLANGCI):
	@echo "installing golangci-lint $(GOLANGCI_VERSION) into bin/tools"
	mkdir -p $(@D)
	GOBIN=$(@D) GOWORK=off go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	mv $(@D)/golangci-lint $@

.PHONY: lint
lint: $(GOLANGCI) ## run golangci-lint on every module
	@$(call in_modules,GOWORK=off $(GOLANGCI) run --config $(CURDIR)/.golangci.yml ./...,lint)

# Minimising each input that widens coverage would take most of a short run; 10x bounds it.
# Inputs that widened coverage are kept in Go's build cache, so a later run starts where this one
# ended; a failing input is written to the package's testdata/fuzz and is committed with its fix.
# Go now and then fails a target only because its time ended while an input was being tried
# (golang/go#75804, mended in Go 1.27): that, without a failing input, is tried once more.
.PHONY: fuzz
fuzz: ## run every fuzz target for FUZZTIME (60s) each
	@listing=$$(go test -list '^Fuzz' work) || { echo "$$listing"; exit 1; }
	targets=$$(awk '/^Fuzz/ { f[n++] = $$1 } /^ok/ { for (i = 0; i < n; i++) print $$2, f[i]; n = 0 } END { exit n > 0 }' <<<"$$listing") ||
		{ echo "a fuzz target belongs to no package: $$listing" >&2; exit 1; }
	[ -n "$$targets" ] || { echo "no fuzz target" >&2; exit 1; }
	root=$$(awk '$$1 == "module" { print $$2 }' go.mod)
	total=$$(wc -l <<<"$$targets"); n=0
	log=$$(mktemp); trap 'rm -f "$$log"' EXIT
	fuzzed() {
		go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x "$$pkg" </dev/null 2>&1 | tee "$$log"
	}
	spurious() { grep -q '^ *context deadline exceeded$$' "$$log" && ! grep -q 'Failing input' "$$log"; }
	while read -r pkg target; do
		n=$$((n + 1))
		echo "fuzz $$n/$$((total)) $${pkg#"$$root"/} $$target $(FUZZTIME)"
		if ! fuzzed; then
			spurious || { echo "FAIL: $$pkg $$target" >&2; exit 1; }
			echo "once more"
			fuzzed
		fi
	done <<<"$$targets"

.PHONY: bench
bench: ## cost of judging a token, beside the other libraries (minutes; ARGS=-help, ARGS="-gate -quick")
	@go run ./benchmarks/cmd/compare $(ARGS)

.PHONY: p95
p95: ## latency under load over HTTP/1.1, HTTP/2 and gRPC, beside the other libraries (hours; ARGS=-help, ARGS=-quick)
	@go run ./benchmarks/cmd/p95 $(ARGS)

.PHONY: bench-report
bench-report: ## write the pages and plots of make p95 again, from benchmarks/results/p95.json
	@go run ./benchmarks/cmd/p95 -render

.PHONY: trace
trace: ## print which requirement is named by which test
	@go run ./internal/archtest/trace

.PHONY: mutants
mutants: ## delete each guard of the library in turn, and see that a test fails (goes on where it was stopped; ROOMS=./jose)
	@go run ./internal/mutants -state $(BIN)/mutants.txt $(ARGS) $(ROOMS)

.PHONY: release
release: ## commit and tag VERSION=v1.2.3 of every module, and push nothing (ARGS=-n changes nothing); see RELEASE.md
	@go run ./internal/release $(ARGS) $(VERSION)

.PHONY: proto
proto: ## write the Go code of the .proto files
	@go run ./internal/protogen

$(BUF):
	@echo "installing buf $(BUF_VERSION) into bin/tools"
	mkdir -p $(@D)
	GOBIN=$(@D) GOWORK=off go install github.com/bufbuild/buf/cmd/buf@$(BUF_VERSION)
	mv $(@D)/buf $@

.PHONY: protolint
protolint: $(BUF) ## run buf lint on the .proto files
	@$(BUF) lint

.PHONY: tidy
tidy: ## check that every go.mod and go.sum is tidy
	@$(call in_modules,GOWORK=off go mod tidy -diff,tidy)
