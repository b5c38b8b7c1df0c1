# goldsmith: see README.md. "make help" lists the targets.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

GO = $(shell .ci/go)
HOME_DIR ?= /var/lib/goldsmith
TAGS := integration clones
CLOUDS := openstack-debian-cloud openstack-controller openstack-compute
FUZZTIME ?= 20s
BUDGET := 9000000 # bytes of firstboot

# firstboot goes into every image and its start delays every boot, so it is built small: no inlining, no padding between
# functions, no assembler in cryptography (it hashes a few passwords), the smaller of Go's two garbage collectors (it runs for
# seconds), no documentation and no guesses of the flag library. cmd/firstboot/deps_test.go builds it the same way.
FIRSTBOOT_BUILD = CGO_ENABLED=0 GOEXPERIMENT=nogreenteagc $(GO) build -tags urfave_cli_no_docs,urfave_cli_no_suggest,purego \
	-trimpath -gcflags=all=-l -ldflags '-s -w -buildid= -funcalign=1'

LINT_VERSION := v2.15.0
LINT := .cache/bin/golangci-lint-$(LINT_VERSION)

.PHONY: help
help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 12

.PHONY: setup
setup: ## install what is missing, by package name, and say what (Debian 12, root)
	@.ci/setup

.PHONY: bin
bin: ## build bin/goldsmith and bin/firstboot
	@mkdir -p bin
	CGO_ENABLED=0 $(GO) build -o bin/goldsmith ./cmd/goldsmith
	$(FIRSTBOOT_BUILD) -o bin/firstboot ./cmd/firstboot

.PHONY: demo
demo: setup bin ## bake an OpenStack image, start three clones of it in one VLAN, show them
	@.ci/demo $(HOME_DIR)

.PHONY: test
test: bin ## run all tests but those in virtual machines: unit, integration, clones (root); bakes what the clones need
	bin/goldsmith bake --home $(HOME_DIR) --no-proof openstack-debian
	$(GO) vet -tags '$(TAGS) vm cloud' ./...
	GOLDSMITH_HOME=$(HOME_DIR) $(GO) test -tags '$(TAGS)' -timeout 45m ./...

.PHONY: unit
unit: ## run the tests that need no root and no tools
	$(GO) test ./...

.PHONY: proof
proof: bin ## cut firstboot at every point, take every line out of the scripts; boot clones in virtual machines (QEMU, slow without KVM); run whole clouds and clusters
	$(GO) test -tags integration -timeout 2h -count 1 -v -run 'KillMatrix|BindMount' ./firstboot/killmatrix -full
	$(GO) test -tags integration -timeout 1h -count 1 -v -run EveryLine ./templates -full
	$(GO) test -tags integration -timeout 1h -count 1 -v -run Corrupted ./builder/disk -full
	bin/goldsmith bake --home $(HOME_DIR) --no-proof debian-minimal
	GOLDSMITH_HOME=$(HOME_DIR) $(GO) test -p 1 -tags 'vm integration' -timeout 2h -count 1 -v -run VM ./...
	$(GO) test -tags 'clones vm' -timeout 1h -count 1 -v -run Snapshot ./fleet
	for r in $(CLOUDS); do bin/goldsmith bake --home $(HOME_DIR) $$r; done
	GOLDSMITH_HOME=$(HOME_DIR) $(GO) test -tags cloud -timeout 2h -count 1 -v -run Cloud ./fleet

.PHONY: lint
lint: $(LINT) ## check style, import walls and scripts
	$(LINT) run ./...
	shellcheck .ci/go .ci/setup .ci/run .ci/demo $$(find templates fleet -name '*.sh') templates/ovirt/engine-setup templates/ovirt/engine-renew

$(LINT):
	GOBIN=$(CURDIR)/.cache/bin $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)
	mv .cache/bin/golangci-lint $@

.PHONY: fuzz
fuzz: ## run every fuzz test for FUZZTIME (20s)
	@for p in $$($(GO) list ./...); do \
		for f in $$($(GO) test -list '^Fuzz' $$p | grep '^Fuzz' || true); do \
			echo "$$p $$f"; $(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) $$p; \
		done; \
	done

.PHONY: bench
bench: bin ## run the benchmarks, beside libguestfs, qemu-img and grep, and 24 clones at once; writes tables in docs/ (root)
	$(GO) test -run '^$$' -bench . -benchmem ./...
	$(GO) test -tags bench -run TestPeers -count 1 -v -timeout 60m ./cmd/goldsmith -args -table $(CURDIR)/docs/bench.md
	$(GO) test -tags bench -run 'TestScale|TestThousand' -count 1 -v -timeout 30m ./fleet -args -plot $(CURDIR)/docs

.PHONY: size
size: bin ## show the size of firstboot against its budget
	@n=$$(stat -c %s bin/firstboot); echo "firstboot: $$n bytes of $(BUDGET)"; [ $$n -le $(BUDGET) ]

.PHONY: man
man: bin ## write the manual pages and completions to dist/, from the code
	@mkdir -p dist
	bin/goldsmith man > dist/goldsmith.1
	$(GO) run ./cmd/firstboot man > dist/firstboot.8
	bin/goldsmith completion bash > dist/goldsmith.bash
	bin/goldsmith completion zsh > dist/_goldsmith

.PHONY: schema
schema: ## write the JSON schema of recipes anew
	$(GO) test ./builder/recipe -run TestSchemaFile -update

.PHONY: clean
clean: ## remove what was built here; images and their cache stay (goldsmith clean --cache)
	rm -rf bin .cache/test.log
