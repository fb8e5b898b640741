.DEFAULT_GOAL := help
SHELL := /bin/sh

TOOL    := go tool -modfile=tools/go.mod
TEST    := $(TOOL) gotestsum --format pkgname --
VERSION  = $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
GOBUILD  = go build -buildvcs=false -ldflags '-X main.version=$(VERSION)'

# The race detector needs a C compiler; where there is none, the tests run without it.
RACE = $(if $(filter 1,$(shell go env CGO_ENABLED)),-race)

# Browser tests need a Chromium. In CI its absence is an error, elsewhere a notice.
CHROMIUM ?= $(firstword $(foreach name,chromium chromium-browser google-chrome,$(shell command -v $(name))))

# npm writes this file when it has installed what package-lock.json asks for.
NODE_MODULES := node_modules/.package-lock.json
# The web build, and what it is made from: folders too, since a deleted file changes nothing else.
WEB         := web/dist/index.html
WEB_SOURCES := $(shell find client web gen/ts -mindepth 1 \
	\( -name node_modules -o -name dist -o -name .next -o -name '*.tsbuildinfo' -o -name next-env.d.ts \
	-o -name '*.test.*' -o -name test-results -o -name coverage \) -prune -o -print 2>/dev/null)

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  \033[1m%-15s\033[0m %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: build ## Build what is missing, then start everything on this machine
	@exec bin/intime dev

.PHONY: build
build: $(WEB) ## Build the dashboard and, around it, bin/intime
	@test -x bin/intime || echo "→ building bin/intime (the first time takes a minute or two)"
	@$(GOBUILD) -o bin/intime ./cmd/intime

.PHONY: generate
generate: $(NODE_MODULES) ## Generate gen/ from proto/
	@scripts/buf generate

.PHONY: generate-check
generate-check: $(NODE_MODULES) ## Check that gen/ is what proto/ generates
	@echo "→ compare gen/ with proto/"
	@rm -rf .intime/cache/generated
	@scripts/buf generate -o .intime/cache/generated
	@diff -r .intime/cache/generated/gen gen || { echo "gen/ is not current: make generate" >&2; exit 1; }

.PHONY: fmt
fmt: $(NODE_MODULES) ## Format Go, Protobuf and TypeScript
	@$(TOOL) golangci-lint fmt
	@scripts/buf format -w
	@npm run fmt --workspaces --if-present

.PHONY: lint
lint: $(NODE_MODULES) ## Check style, the direction of imports, dead code and breaking changes of the API
	@echo "→ lint proto"
	@scripts/buf lint
	@scripts/buf format -d --exit-code
	@scripts/buf-breaking
	@echo "→ lint Go"
	@$(TOOL) golangci-lint run
	@dead=$$($(TOOL) deadcode -test ./...) && if [ -n "$$dead" ]; then echo "$$dead"; exit 1; fi
	@echo "→ lint TypeScript"
	@npm run typecheck --workspaces --if-present
	@npm run lint --workspaces --if-present

.PHONY: test
test: ## Run every test: Go with the race detector, TypeScript, the browser
	@echo "→ test Go$(if $(RACE),, (no C compiler: without the race detector))"
	@$(TEST) $(RACE) -shuffle=on ./...
	@$(MAKE) --no-print-directory test-web

.PHONY: test-web
test-web: build ## Run the tests of client/ and web/, in a browser too where there is a Chromium
	@echo "→ test TypeScript"
	@npm test --workspaces --if-present
ifneq ($(CHROMIUM)$(CI),)
	@echo "→ test in the browser"
	@CHROMIUM='$(CHROMIUM)' npm run test:browser --workspace web
else
	@echo "→ no browser tests: no Chromium found (CHROMIUM=/path/to/it)"
endif

.PHONY: test-faults
test-faults: ## Kill processes and the database for minutes, and count what is left
	@$(TEST) $(RACE) -tags faults -run '^TestFault' -timeout 60m -v ./...

.PHONY: check
check: generate-check build lint ## Everything that must pass before a change lands
	@for os in linux darwin windows; do for arch in amd64 arm64; do \
		echo "→ build for $$os/$$arch"; \
		CGO_ENABLED=0 GOOS=$$os GOARCH=$$arch $(GOBUILD) -o /dev/null ./cmd/intime || exit 1; \
	done; done
	@$(MAKE) --no-print-directory test

.PHONY: bench
bench: ## Measure beside the peers (bench/README.md)
	@go run ./bench

.PHONY: clean
clean: ## Remove what was built; the local data in .intime/ stays
	@rm -rf bin node_modules web/.next client/dist coverage test-results .intime/cache
	@find web/dist -mindepth 1 ! -name .gitkeep -delete 2>/dev/null || true

$(NODE_MODULES): package.json package-lock.json .npmrc $(wildcard client/package.json web/package.json)
	@echo "→ installing the npm packages"
	@npm ci --loglevel=error
	@touch $@

$(WEB): $(NODE_MODULES) $(WEB_SOURCES)
	@echo "→ building the dashboard"
	@npm run build --workspaces --if-present
	@touch $@
