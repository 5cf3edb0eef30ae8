# Thin: each target is one line over tools/ and cmake. `make help` lists them.
.DEFAULT_GOAL := help
PREFIX ?= /usr/local
ARGS ?=

.PHONY: help build run test bench package install console format check asan tsan clean setup

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup:
	@tools/setup build

build: setup console  ## build/release/dougong, with everything it needs
	@tools/build release

run: setup console  ## build, get the default model, serve it, ask it a first question
	@tools/build release dougong
	@bash -mc 'tools/run_demo "$$@"; exit $$?' run_demo $(ARGS)  # own job: Ctrl-C is not make's

test:  ## build and run every test; closes with one line of counts
	@tools/setup test
	@tools/build_console
	@tools/build release
	@tools/test $(ARGS)

bench: build  ## Dougong beside llama.cpp on the default model, in turn
	@bench/engine/side_by_side.py --model "$$(tools/default_model)" $(ARGS)

package: console  ## build/package/*.deb
	@tools/setup package
	@tools/build release dougong
	@tools/package

install: build  ## into PREFIX (default /usr/local)
	@tools/build release package_files
	@cmake --install build/release --prefix $(PREFIX) | grep -v -- '-- Up-to-date' || true

console: setup  ## console/dist, which the program embeds
	@tools/build_console

format:  ## clang-format over our C++
	@git ls-files --cached --others --exclude-standard '*.h' '*.cc' | xargs clang-format -i

check:  ## formatting, include edges, scripts
	@tools/check

asan: setup console  ## every C++ test under the address and undefined-behaviour sanitizers
	@tools/build asan
	@tools/test --preset asan --only test_ $(ARGS)

tsan: setup console  ## every C++ test under the thread sanitizer
	@tools/build tsan
	@tools/test --preset tsan --only test_ $(ARGS)

clean:  ## remove what was built; models and npm packages stay
	@rm -rf build console/dist
