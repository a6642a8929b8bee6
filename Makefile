# The commands for users. Each target first checks its own set-up; if there is nothing to do, `ready`
# only compares two files. Variables of make (CONFIG=path, LOCAL_PORT=8081, …) are passed to the
# programs through the environment.

MAKEFLAGS += --no-builtin-rules --no-print-directory
.DEFAULT_GOAL := help

PYTHON ?= python3
ARGS ?=
SEED ?=
VENV := .venv/bin/python

# uv uses the machine's certificate authorities, because companies have their own.
export UV_SYSTEM_CERTS ?= 1

NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
bootstrap = for python in $(PYTHON) python3.13 python3.12 python3.11; do \
		if "$$python" -c "$(NEW_ENOUGH)" 2>/dev/null; then exec "$$python" tools/bootstrap.py $(1); fi; \
	done; \
	echo "error: python3 >= 3.11 is missing: install it, or name one: make PYTHON=/path/to/python3" >&2; \
	exit 1

.PHONY: help
help: ## show this list
	@awk -F ':[^#]*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo 'Variables: CONFIG=path of the config, LOCAL_PORT=port of the API of `make up` (8080), ARGS=options of'
	@echo 'the command. All of them: docs/configuration.md#environment-variables'

# --- the product ------------------------------------------------------------------------------

.PHONY: up
up: ready-terraform ## run everything on this machine: synth, terraform apply, a URL to call
	@$(VENV) -m local.up

.PHONY: down
down: ## stop what `make up` started
	@if [ -x $(VENV) ]; then $(VENV) -m local.down; fi

.PHONY: synth
synth: ready ## write cdktf.out from the config (CONFIG=path)
	@$(VENV) -O main.py

.PHONY: lock
lock: ready ## look up the config's JumpStart models: configs/models.lock.json (ARGS=--check …)
	@$(VENV) -m jumpstart lock $(ARGS)

.PHONY: plan
plan: ready-terraform ## show what `make deploy` would change on AWS, with a summary (ARGS=--markdown …)
	@$(VENV) -m tools.cdktf_cli diff $(ARGS)

.PHONY: policy
policy: ready ## the smallest IAM policy of whoever deploys (ARGS="--account NUMBER")
	@$(VENV) -m tools.deployer_policy $(ARGS)

.PHONY: deploy
deploy: ready-terraform ## deploy to AWS with your credentials (ARGS=--auto-approve …)
	@$(VENV) -m tools.cdktf_cli deploy $(ARGS)

.PHONY: token
token: ready ## create, list or revoke tokens (ARGS="create --help", ARGS="list --local" …)
	@$(VENV) -m client token $(ARGS)

.PHONY: verify-aws
verify-aws: ready ## ask a real account what is assumed of AWS: 20 minutes, under a dollar (ARGS=--quick …)
	@$(VENV) -m tools.verify_aws $(ARGS)

.PHONY: destroy
destroy: ready-terraform ## stop every endpoint, then remove the stack from AWS (ARGS=…)
	@$(VENV) -m tools.cdktf_cli destroy $(ARGS)

# --- its development --------------------------------------------------------------------------

.PHONY: test
test: ready-cdktf ## every kind of test, end-to-end tests and coverage gate included
# Tests that deploy, measure or simulate run separately, without coverage.
	@$(VENV) -m coverage erase
	$(VENV) -m pytest -q -n auto -m "not (e2e or simulation or timing or prove)" --cov --cov-report= $(ARGS)
	$(VENV) -m coverage report --fail-under=95
# With a fixed seed: a change draws few other mutants, and does not fail for code far from it.
	$(VENV) -m tests.mutants --sample 100 --seed 1
	$(VENV) -m pytest -q -n auto -m "simulation and not prove" $(ARGS)
	$(VENV) -m pytest -q -m timing $(ARGS)
	$(VENV) -m pytest -q -m "e2e and not prove" -n 3 --dist loadfile --no-loadscope-reorder $(ARGS)

.PHONY: prove
prove: ready-cdktf ## what repeats at length: more seeds, whole matrices, all documents; `make test` has one of each
	$(VENV) -m pytest -q -n auto -m "prove and not e2e" $(ARGS)
	$(VENV) -m pytest -q -m "prove and e2e" -n 3 --dist loadfile --no-loadscope-reorder $(ARGS)

.PHONY: check
check: ready ## format, lint, types, import rules, unit tests: under a minute
	$(VENV) -m ruff format --check --quiet .
	$(VENV) -m ruff check --quiet .
	$(VENV) -m mypy
	$(VENV) -c "from importlinter.cli import lint_imports_command as lint; lint()" \
		--no-logo --cache-dir .cache/import-linter
	$(VENV) -m pytest -q -m "not e2e and not slow" tests/unit $(ARGS)

.PHONY: audit
audit: ready-terraform ## checkov on the plan of all examples; audit/checkov.yaml lists exceptions with reasons
	$(VENV) -m pytest -q tests/synth/test_audit.py $(ARGS)

.PHONY: format
format: ready ## format and fix the code for `make check`
	$(VENV) -m ruff format .
	$(VENV) -m ruff check --fix .

.PHONY: bench
bench: ready ## the benchmarks, in one table
	@$(VENV) -m benches $(ARGS)

.PHONY: simulate
simulate: ready ## 10,000 endpoint-days of faults by seed (SEED=number, ARGS=--seeds 10 …)
	@$(VENV) -m tests.simulation $(SEED:%=--seed %) $(ARGS)

.PHONY: mutants
mutants: ready ## do the fast tests notice small changes of the code? (ARGS="--sample N", ARGS=file …)
	@$(VENV) -m tests.mutants $(ARGS)

.PHONY: schema
schema: ready ## write configs/schema.json, with which editors complete the config
	@$(VENV) -m constructs_lib.config.schema

.PHONY: lock-deps
lock-deps: ready ## resolve Pipfile and package.json into new locks
	@$(VENV) -m tools.lock_dependencies

.PHONY: lock-provider
lock-provider: ready-terraform ## lock the AWS provider for Linux and macOS: configs/provider.lock.hcl
	@$(VENV) -m tools.lock_provider $(ARGS)

# --- set-up -----------------------------------------------------------------------------------

.PHONY: ready
ready:
	@{ [ -x $(VENV) ] && cmp -s Pipfile.lock .venv/installed.lock; } || { $(call bootstrap); }

.PHONY: ready-terraform
ready-terraform:
	@$(call bootstrap,--terraform)

.PHONY: ready-cdktf
ready-cdktf:
	@$(call bootstrap,--terraform --node-packages)
