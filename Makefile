# What there is to do here. "make" alone builds.

GO ?= go

# Linters are run at a fixed version and stay out of go.mod.
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
BIN = bin/selfware-node

# Packages that are run under the race detector every time. Those that simulate nodes
# in testing/synctest bubbles are not among them: with go1.26.8 the detector's own
# runtime crashed in one (SIGSEGV, no goroutine of ours running); the small bubbles of
# supervisor, 10,000 of them in a row, did not bring it to that. `make race` has all.
RACE_PACKAGES = $(foreach p,supervisor fsm placement spec link,$(if $(wildcard $(p)/*.go),./$(p)/...))

# The end-to-end tests (three processes, docker-compose) measure time, so they
# run alone, after all others.
E2E = ./internal/e2e
OTHERS = $$($(GO) list ./... | grep -v '/internal/e2e$$' | grep -v '/internal/lint$$' | grep -v '/jepsen-lite$$')

# One run of jepsen-lite on five real nodes; as root, on Linux. `bin/jepsen-lite
# list` says what there is. SEED=0 draws one.
WORKLOAD ?= exclusive
NEMESIS ?= kill-node,partition-halves
TIME ?= 60s
SEED ?= 0
BACKEND ?= netns
PROFILE ?= lan
DIR ?= /tmp/jepsen-lite/$(WORKLOAD)
JEPSEN = bin/jepsen-lite
# What a soak runs under every nemesis there is.
MATRIX ?= exclusive,register,group

# How many seeded bugs to hunt, chosen by SEED; 0 is all, which writes their table.
N ?= 0
BUGS = $(GO) run ./internal/bug/hunt -seed $(SEED)

# How many traces to compare with OTP's own supervisor, drawn by SEED.
TRACES ?= 1000000
OTP = $(GO) run ./internal/otp

# Every state of small trees and their nodes. DEEP=1 has the larger scopes, for hours; ONLY
# names some by a part of their names.
ONLY ?=
EXPLORE = $(GO) run ./internal/explore

# The simulation prints its figures, so it runs by itself.
REST = $$($(GO) list ./... | grep -v '/internal/e2e$$' | grep -v '/internal/lint$$' | grep -v '/internal/simtest$$' | grep -v '/jepsen-lite$$')

# A soak simulates fresh seeds for so many hours, or seeds 1 to SEEDS. Rows of the
# benchmark: all, where empty.
HOURS ?= 8
SEEDS ?=
ROW ?=

.PHONY: explore otp replay build demo test test-deps test-short lint race bench bench-library bugs jepsen soak clean

build:
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o $(BIN) ./cmd/selfware-node

# Three nodes on this machine, and a tree of small servers. Ctrl-C ends it all.
demo: build
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/shopd ./examples/shopd
	$(BIN) dev examples/shop.yaml

# All groups run, even after one has failed; the last line says which have. (Not
# $(MAKE), which "make -n" would run.)
test: test-deps
	@failed=; \
	group() { name=$$1; shift; printf '\n== %s\n' "$$name"; "$$@" || failed="$$failed [$$name]"; }; \
	group 'lint' make --no-print-directory lint; \
	group 'race detector' $(GO) test -short -race -timeout 10m $(RACE_PACKAGES); \
	group 'all packages' $(GO) test -timeout 20m $(REST); \
	group 'OTP' $(OTP) -traces 1000000; \
	group 'exploration' $(EXPLORE) -quiet; \
	group 'simulation' scripts/test-simulation.sh; \
	if [ -d $(E2E) ]; then group 'three processes, docker-compose' $(GO) test -timeout 20m -count=1 $(E2E); fi; \
	group 'seeded bugs, three at random' $(BUGS) -n 3; \
	group 'five processes under faults' $(GO) test -timeout 20m -count=1 ./jepsen-lite; \
	if [ -n "$$failed" ]; then printf '\nFAILED:%s\n' "$$failed"; exit 1; fi; \
	printf '\nall groups passed\n'

test-deps:
	@scripts/test-deps.sh

test-short: lint
	$(GO) test -short -timeout 5m $(OTHERS)

lint:
	@unformatted=$$(gofmt -l .); if [ -n "$$unformatted" ]; then printf 'not formatted by gofmt:\n%s\n' "$$unformatted"; exit 1; fi
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...
	$(GO) test -count=1 ./internal/lint

# The library beside suture, in the same run; docs/library.md reads the figures.
bench-library:
	$(GO) test ./supervisor -run '^$$' -bench LocalRestart -benchtime 50000x -count 3
	$(GO) test ./supervisor -run '^$$' -bench LocalMany -benchtime 3x -count 2

# All rows make the table of docs/benchmarks.md; single rows only print.
bench: build
	$(BIN) bench $(if $(ROW),$(ROW),all --markdown docs/benchmarks.md)

# Everything under the race detector.
race:
	$(GO) test -short -race -timeout 20m $(OTHERS)

$(JEPSEN): FORCE
	CGO_ENABLED=0 $(GO) build -trimpath -o $@ ./jepsen-lite

FORCE:

jepsen: build $(JEPSEN)
	$(JEPSEN) run --workload $(WORKLOAD) --nemesis $(NEMESIS) --time $(TIME) --seed $(SEED) --backend $(BACKEND) \
		--profile $(PROFILE) --binary $(BIN) --dir $(DIR)

# The tests' test: each seeded bug must be caught by its checker.
bugs:
	$(BUGS) $(if $(filter 0,$(N)),-seeds 6 -markdown docs/reliability.md,-n $(N))

# Random traces against OTP's supervisor.erl; no difference is allowed.
otp: test-deps
	$(OTP) -traces $(TRACES) -seed $(SEED)

# The last line sums up. A violation is printed as a script for supervisor/testdata.
explore:
	$(EXPLORE) $(if $(DEEP),-deep) $(ONLY)

# Many seeds of the simulation, the large scopes of the lease's model and of the core's
# exploration, all seeded bugs, and every fault on real nodes, for as long as they take.
soak: build $(JEPSEN)
	$(if $(SEEDS),SELFWARE_SEEDS=$(SEEDS),SELFWARE_HOURS=$(HOURS)) $(GO) test -count=1 -timeout 0 -v -run '^Test$(if $(SEEDS),Sim,Soak)$$' ./internal/simtest
	SELFWARE_MODEL=1 $(GO) test -count=1 -timeout 0 -v ./internal/leasemodel
	$(EXPLORE) -deep
	$(BUGS)
	$(JEPSEN) matrix --workload $(MATRIX) --time 40s --profile $(PROFILE) --binary $(BIN) --dir $(DIR)-matrix

# Seeds of the simulation from SEED on, SEEDS of them, RUNS times each, on a runtime
# without chance of its own. DAYS=1 runs their day plans; PLAN names a file.
RUNS ?= 2
replay:
	$(GO) run ./internal/simtest/overlay -seed $(if $(filter-out 0,$(SEED)),$(SEED),1) -seeds $(if $(SEEDS),$(SEEDS),1) \
		-runs $(RUNS) $(if $(DAYS),-days) $(if $(PLAN),-plan $(PLAN))

clean:
	rm -rf bin dist
