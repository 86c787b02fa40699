# What people and CI call. `make demo` and `make test` need Rust and Python 3.10 or newer; everything else they bring themselves.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Built inside the checkout, the program finds the model, the demo's scan and ONNX Runtime by itself.
export CARGO_TARGET_DIR := $(CURDIR)/target
# One build for all tests: the program as it ships, and beside it the one that answers the conformance suites.
TEST_BUILD := --locked --features fixtures

.PHONY: help demo build model viewer test test-rust test-python test-load agent-eval test-tools test-long fuzz load bench wheel mcpb check fmt clean

help: ## what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

$(VENV)/runtime: requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

build: $(VENV)/runtime ## the program, and a .venv with ONNX Runtime for it
	cargo build --release --locked

demo: build ## segment the head scan that ships with the project
	target/release/sat-mcp demo

viewer: ## share/viewer/viewer.html from viewer/: needs npm
	cd viewer && npm ci --ignore-scripts --no-audit --no-fund && npm run check && npm run build

$(VENV)/tests: tests/requirements.txt $(VENV)/runtime
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r tests/requirements.txt
	touch $@

# Yesterday's Python client, which can't live beside today's.
$(VENV)/mcp-1/installed: $(VENV)/runtime
	$(PYTHON) -m venv $(VENV)/mcp-1
	$(VENV)/mcp-1/bin/python -m pip install --quiet --disable-pip-version-check 'mcp<2'
	touch $@

# Other people's clients and suites in TypeScript. Where npm is missing their tests are skipped.
$(VENV)/node: tests/package.json tests/package-lock.json $(VENV)/runtime
	if command -v npm >/dev/null; then npm --prefix tests ci --no-audit --no-fund --loglevel=error && touch $@; fi

test: test-rust test-python test-load agent-eval ## everything that needs no PyTorch

test-rust: $(VENV)/tests
	cargo test $(TEST_BUILD)

test-python: $(VENV)/tests $(VENV)/mcp-1/installed $(VENV)/node
	cargo test $(TEST_BUILD) --no-run
	SAT_MCP_PROGRAM=$(CURDIR)/target/debug/sat-mcp $(BIN)/python -m pytest -q tests/python

test-load: $(VENV)/tests
	cargo test $(TEST_BUILD) --no-run
	$(BIN)/python tests/load/load.py --program target/debug/sat-mcp

load: $(VENV)/tests build ## many callers at once, 20 s: times, throughput and memory of the release build
	$(BIN)/python tests/load/load.py --program target/release/sat-mcp

agent-eval: $(VENV)/tests ## the score of the agent without a language model on written tasks: a figure, no pass mark
	cargo test $(TEST_BUILD) --no-run
	$(BIN)/python examples/agent_eval run --program target/debug/sat-mcp

test-tools: $(VENV)/tools ## what needs PyTorch: architecture, training, export, and the program against the same path in numpy
	cargo test $(TEST_BUILD) --no-run
	cd tools && SAT_MCP_PROGRAM=$(CURDIR)/target/debug/sat-mcp $(CURDIR)/$(VENV)/tools-venv/bin/python -m pytest -q tests anatomy

test-long: $(VENV)/tools $(VENV)/tests build ## what takes minutes and 16 GB: ten minutes of load, 300 kills, SAT-Nano at SAT's own window, SAT-Pro
	$(BIN)/python tests/load/load.py --program target/release/sat-mcp --seconds 600
	SAT_MCP_KILLS=300 SAT_MCP_PROGRAM=$(CURDIR)/target/release/sat-mcp $(BIN)/python -m pytest -q -s tests/python/test_killed.py
	SAT_MCP_SLOW=1 SAT_MCP_PROGRAM=$(CURDIR)/target/release/sat-mcp $(BIN)/python -m pytest -q tests/python/test_dicomweb.py
	cd tools && SAT_MCP_PROGRAM=$(CURDIR)/target/release/sat-mcp $(CURDIR)/$(VENV)/tools-venv/bin/python -m pytest -q -s -m long tests

# Seconds that each target runs. cargo-fuzz wants a nightly compiler for its flags; RUSTC_BOOTSTRAP lets a stable one take them. The targets
# keep their own limit of memory, so that no sanitizer is needed.
FUZZ_SECONDS ?= 60
fuzz: $(VENV)/tests ## each reader against changed files, a minute each (FUZZ_SECONDS): needs `cargo install cargo-fuzz` and a C++ compiler
	$(PYTHON) fuzz/seeds.py
	$(BIN)/python fuzz/dicom_seeds.py
	for target in nifti mask_file dicom_series dicom_seg model_manifest dicomweb report; do \
		RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR=$(CURDIR)/fuzz/target cargo fuzz run --sanitizer none $$target -- \
			-max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=512 -max_len=65536 || exit 1; \
	done

# Everything that onnx/sat-mini is made of, from nothing. RUN keeps checkpoints: the same command goes on after an interruption.
RUN ?= runs/sat-mini
HEADS ?= runs/head-labels
STEPS ?= 26000
SAT_MINI := onnx/sat-mini
TOOLS := $(VENV)/tools-venv/bin/python tools
model: $(VENV)/tools ## sat-mini from nothing: fetches label maps, trains for about six hours on 2 cores, writes onnx/sat-mini
	$(TOOLS)/fetch_heads.py --out $(HEADS)
	$(TOOLS)/train.py heads --labels $(HEADS) --tokenizer $(SAT_MINI)/tokenizer.json --steps $(STEPS) --out $(RUN)
	$(TOOLS)/curve.py --run $(RUN) --steps $(STEPS) --labels $(HEADS) --tokenizer $(SAT_MINI)/tokenizer.json --last 4 --best $(RUN)/best.pt \
		--out $(RUN)/curve.json
	$(TOOLS)/export.py --checkpoint $(RUN)/best.pt --tokenizer $(SAT_MINI)/tokenizer.json --out $(RUN)/model
	$(TOOLS)/evaluate.py development --model $(RUN)/model --labels $(HEADS) --out $(RUN)/development.json
	$(TOOLS)/evaluate.py merge --development $(RUN)/development.json --out $(RUN)/figures.json
	$(TOOLS)/export.py --checkpoint $(RUN)/best.pt --tokenizer $(SAT_MINI)/tokenizer.json --figures $(RUN)/figures.json \
		--weights tools/sat-mini.pt --out $(SAT_MINI)

bench: $(VENV)/tools $(VENV)/openvino ## the engine against the published algorithm in PyTorch, about an hour: benches/RESULTS.md
	$(VENV)/tools-venv/bin/python benches/compare.py \
		--runtime "$$(ls $(VENV)/lib/python3*/site-packages/onnxruntime/capi/libonnxruntime.so.*)" \
		--openvino "$$(ls $(VENV)/openvino-venv/lib/python3*/site-packages/onnxruntime/capi/libonnxruntime.so.*)"

$(VENV)/openvino: $(VENV)/runtime
	$(PYTHON) -m venv $(VENV)/openvino-venv
	$(VENV)/openvino-venv/bin/python -m pip install --quiet --disable-pip-version-check onnxruntime-openvino
	touch $@

$(VENV)/tools: tools/pyproject.toml $(VENV)/runtime
	$(PYTHON) -m venv $(VENV)/tools-venv
	$(VENV)/tools-venv/bin/python -m pip install --quiet --disable-pip-version-check './tools[test]'
	touch $@

wheel: $(VENV)/tests ## the wheel, in target/wheels
	$(BIN)/maturin build --release --locked --out target/wheels

mcpb: $(VENV)/tests ## the MCP bundle for this platform, in target/mcpb; needs Node
	rm -rf target/mcpb
	$(BIN)/maturin build --release --locked --out target/mcpb/wheel
	$(BIN)/python -m zipfile -e target/mcpb/wheel/*.whl target/mcpb/parts
	chmod +x target/mcpb/parts/*.data/scripts/sat-mcp
	$(BIN)/python packaging/mcpb/pack.py --program target/mcpb/parts/*.data/scripts/sat-mcp --out target/mcpb/sat-mcp.mcpb

check: ## format, lints, documentation
	cargo fmt --check
	cargo clippy --locked -- -D warnings
	cargo clippy $(TEST_BUILD) --all-targets -- -D warnings
	$(PYTHON) tools/anatomy/build.py --check
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --quiet

fmt: ## format the code
	cargo fmt

clean: ## forget what was built
	cargo clean
	rm -rf $(VENV) tests/node_modules
