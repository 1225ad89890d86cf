# SPDX-License-Identifier: Apache-2.0
# The front door; meson.build is the build. `make help` lists the targets.
PY    := /usr/bin/python3
BUILD := build
CLASS ?= ns
F     ?= config
T     ?= 60
MESON_FLAGS ?= $(if $(CI),-Dwerror_ci=true)

.DEFAULT_GOAL := all
.PHONY: help setup all guest run check test soak itest engines asan tsan fuzz tidy format coverage bench install docs clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install what is missing (Debian packages; needs root)
	@scripts/setup

$(BUILD)/build.ninja:
	@command -v meson >/dev/null || scripts/setup
	meson setup $(BUILD) $(MESON_FLAGS)

all: $(BUILD)/build.ninja ## build; the program is build/bin/caisson (and the kernel of class vm, once: minutes)
	ninja -C $(BUILD)
	@scripts/build-guest --if-possible $(BUILD)/guest

guest: $(BUILD)/build.ninja ## build kernel and image of class vm (the kernel once: minutes; GUEST_KERNEL=debian: none is built)
	@scripts/setup --guest
ifeq ($(GUEST_KERNEL),debian)
	ninja -C $(BUILD) src/agent/caisson-agent
	@scripts/build-guest-debian $(BUILD)/guest/debian $(BUILD)/src/agent/caisson-agent
else
	@scripts/build-guest $(BUILD)/guest
	ninja -C $(BUILD) guest/image
endif

run: setup all ## the main job: twenty hostile acts and what stopped each [CLASS=vm; without: the default class]
	@scripts/run-untrusted $(if $(filter command,$(firstword $(origin CLASS))),--isolation $(CLASS))

check: all ## unit tests, fuzz corpora, layers, headers, sizes (seconds; no root)
	meson test -C $(BUILD) --print-errorlogs --no-rebuild --quiet

test: setup all ## every test
	@scripts/run-tests

soak: setup all ## the same tests with full counts
	@CAISSON_SOAK=1 scripts/run-tests

itest: all ## life cycle suite of one class: make itest CLASS=ns [ARGS="-k create"]
	@CAISSON_CLASS=$(CLASS) tests/run-integration $(ARGS)

engines: all ## real engines: Podman, containerd, Docker
	@tests/run-engines $(ARGS)

asan: all ## unit tests, system call programs, life cycle of classes ns and vm with AddressSanitizer and UBSan (own build directories)
	@scripts/run-sanitized address,undefined

tsan: ## unit tests and system call programs with ThreadSanitizer
	@scripts/run-sanitized thread

fuzz: ## libFuzzer for T seconds: make fuzz F=config T=60
	@scripts/fuzz $(F) $(T)

tidy: all ## clang-tidy, cppcheck, gcc -fanalyzer
	@scripts/tidy $(BUILD)

format: ## clang-format over all C sources
	@find src tests -name '*.[ch]' -print0 | xargs -0 clang-format -i

coverage: all ## line coverage per room
	@scripts/coverage

bench: all ## speed against Debian's runc and crun, of machines against a bare QEMU and the host: ratios
	@tests/bench/run
	@tests/bench/machines.py
	@tests/bench/files.py
	@tests/bench/network.py
	@tests/bench/many.py
	@for class in ns sentry vm; do echo "class $$class"; tests/bench/pods.py --class $$class --json $(BUILD)/overhead.$$class.json || exit 1; done

install: all ## install below DESTDIR and the configured prefix; each file is replaced by rename(2)
	@scripts/install $(BUILD) $(DESTDIR)

clean: ## remove build directories
	rm -rf build build-asan build-tsan build-traps build-fuzz build-coverage
