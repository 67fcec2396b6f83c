# One line a target. `go build ./cmd/stationd` alone always works too.

GO = go

.PHONY: build test race fuzz bench bench-ingest lint arch e2e dist long deps js

build: ## the program, in this folder
	CGO_ENABLED=0 $(GO) build -trimpath -o stationd ./cmd/stationd

test: deps js ## everything, as CI runs it; as root, for the container and the full disk
	.ci/test

race: ## the quick tests again and again: what fails only sometimes
	$(GO) test -race -short -count 5 -p 2 ./...

fuzz: ## each fuzz test for twenty seconds
	.ci/fuzz 20s

bench: ## the figures of docs/design.md, on this machine
	$(GO) test -run '^$$' -bench . -benchmem -p 1 ./...

bench-ingest: ## how fast messages are taken in, beside what the machine can do; five turns, the middle counts
	$(GO) test -run '^$$' -bench 'BenchmarkIngest|BenchmarkEmbedded' -benchtime 5x ./cmd/stationd

lint: ## gofumpt, vet (Windows too), staticcheck
	.ci/lint

arch: ## who may import whom, package comments, links
	$(GO) test -count 1 -run '^TestArch' ./cmd/stationd

e2e: deps ## the whole program with real parts around it
	$(GO) test -race -count 1 -v -timeout 30m ./cmd/stationd

dist: ## the program for every kind of station PC, into dist/
	.ci/dist

long: deps ## hours, not minutes: chaos and fuzzing
	STATIOND_LONG=1 $(GO) test -race -count 1 -p 1 -timeout 12h ./... && .ci/fuzz 10m

deps: ## what the tests need beside Go
	.ci/deps

js: deps ## the types of the console's JavaScript
	.ci/jscheck
