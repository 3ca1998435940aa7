# build installs what is missing, builds what a command needs, and says how long that takes.
TOOLS := $(or $(TESSERA_TOOLS),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/tessera/tools)
export PATH := $(TOOLS)/bin:$(PATH)
PORT ?= 8080
ONCE ?=
SECS ?= 60

.PHONY: setup build site engine demo test check bench shots onnx sim fuzz chaos

setup:
	@bash e2e/setup.sh

build:
	@bash e2e/build.sh

# The pages alone, after a change to them.
site: setup
	@trunk --log warn build --config trunk.toml

demo: build
	@$(or $(CARGO_TARGET_DIR),target)/release/demo --port $(PORT) $(if $(ONCE),--once)

# Every page as a picture, to be looked at: target/shots.
shots: build
	@$(or $(CARGO_TARGET_DIR),target)/release/shots

test: build
	cargo test --release --locked --workspace

# Made-up inputs against everything that reads a stranger's, for so many seconds over all of them.
fuzz:
	@bash e2e/setup.sh system
	@cargo run --quiet --release --locked --package fuzz -- --secs $(SECS)

# The engine alone, for a page that runs it beside its peers.
TARGET := $(or $(CARGO_TARGET_DIR),target)
engine: setup
	cargo build --locked --package engine --target wasm32-unknown-unknown --profile wasm-cpu
	@wasm-bindgen --target web --out-dir $(TARGET)/engine $(TARGET)/wasm32-unknown-unknown/wasm-cpu/engine.wasm

# ONNX's own backend cases, models of each family with random weights and the operators of other domains
# beside onnxruntime, on every backend of this machine, natively and in Chromium.
ONNX := $(TARGET)/onnx
onnx: engine
	@bash e2e/setup.sh onnx
	cargo build --release --locked --package e2e --bin onnx
	@rm -rf $(ONNX)
	@$(TOOLS)/onnx/bin/python -W ignore e2e/onnx/cases.py $(ONNX)/cases
	@$(TOOLS)/onnx/bin/python -W ignore e2e/onnx/models.py $(ONNX)/models
	@$(TOOLS)/onnx/bin/python -W ignore e2e/onnx/domains.py $(ONNX)/domains
	@$(TARGET)/release/onnx $(ONNX)/cases $(ONNX)/models $(ONNX)/domains

# The real rules in virtual time, with everyone who cheats: whether it pays.
sim:
	@bash e2e/setup.sh system
	@cargo run --release --locked --quiet --package sim -- $(if $(SEED),--seed $(SEED)) $(if $(ONLY),--only $(ONLY))

# Faults of every kind, at moments that follow from the seed, to a network at work.
chaos: build
	@$(TARGET)/release/chaos --rounds $(or $(ROUNDS),100) $(if $(SEED),--seed $(SEED))

check:
	@bash e2e/setup.sh check
	cargo fmt --all --check
	cargo test --release --locked -p tidy
	@bash e2e/deny.sh
	cargo clippy --release --locked --workspace --all-targets -- -D warnings
	cargo clippy --release --locked -p rules --target wasm32-unknown-unknown -- -D warnings
	cargo clippy --release --locked -p web --lib --features hydrate --target wasm32-unknown-unknown -- -D warnings
	cargo clippy --release --locked -p worker --lib --target wasm32-unknown-unknown -- -D warnings
	cargo clippy --release --locked -p worker --lib --no-default-features --target wasm32-unknown-unknown -- -D warnings

bench: build $(if $(filter kernels,$(or $(BENCH),kernels)),engine)
	@$(if $(filter pages,$(or $(BENCH),pages)),bash e2e/setup.sh peers)
	@$(if $(filter kernels,$(or $(BENCH),kernels)),bash e2e/setup.sh onnx && bash e2e/setup.sh kernels)
	@$(if $(filter dispatch,$(or $(BENCH),dispatch)),bash e2e/setup.sh dispatch)
	@cargo bench --locked --quiet --workspace $(foreach bench,$(or $(BENCH),challenge dispatch infer kernels pages size sockets web),--bench $(bench))
