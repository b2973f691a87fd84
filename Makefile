# Every target sets up what it needs. `make` alone explains them.

python := .venv/bin/python
uv := .venv/bin/uv
groups := auth upload convert notify download janitor migrate loadtest bench
measuring := .loadtest/venv/bin/python
measurable := .loadtest/venv/installed.txt
comparable := .bench/venv/installed.txt
typed := functions local knative bench rabbitmq-source/source.py rabbitmq-source/rights.py

ifeq ($(OVERLAY),)
ifneq ($(filter secrets deploy,$(MAKECMDGOALS)),)
$(error OVERLAY= is missing: local, external, production, or the path of a folder)
endif
endif

.DEFAULT_GOAL := help
.PHONY: help setup demo up down status logs test test-cluster lint chaos bench price loadtest coldstart images secrets deploy format requirements keys clean

help:
	@awk 'BEGIN { FS = ":.*## " } \
	    /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	    /^[a-z-]+:.*## / { sub(/:.*/, "", $$1); printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

##@ See it work

demo: setup ## one video from upload to MP3, then everything is stopped; VIDEO=path takes yours
	@$(python) -m local demo "$(VIDEO)"

##@ Work with it

up: setup ## start the whole system in the background; PORT=8080, and MONGO_URL etc. replace a service
	@$(python) -m local up
down: setup ## stop it
	@$(python) -m local down
status: setup ## what runs, what waits; OVERLAY=external asks the cluster
	@$(python) -m $(if $(OVERLAY),knative.status $(OVERLAY),local status)
logs: setup ## the end of all logs; N=convert picks one, F=1 follows
	@$(python) -m local logs $(N) $(if $(F),--follow)

##@ Check

test: lint ## lint and all tests; T='tests/unit -k mail' picks some
	@local/setup.sh --with-tests
	@$(python) -m pytest $(T)
test-cluster: setup ## the system on the cluster that KUBECONFIG names; KEEP=1 leaves it there, LONG=1 the proofs that take long
	@$(python) -m pytest $(or $(T),$(if $(LONG),tests/cluster/long,tests/cluster --ignore tests/cluster/long))
lint: setup ## style and types
	@$(python) -m ruff check .
	@$(python) -m ruff format --check .
	@$(python) -m mypy $(typed)
chaos: setup ## a storm of kills and outages; SEED=1 JOBS=60, ends with what was lost
	@$(python) -m tests.chaos $(or $(SEED),1) $(or $(JOBS),60)
bench: setup $(comparable) ## speed and memory against references; N='conversion cage' picks parts, writes docs/benchmark.md
	@local/setup.sh --with-bench
	@$(python) -m bench $(N)
$(comparable): requirements/bench.txt
	@echo "Making .bench/venv; this takes a minute or two."
	@$(python) -m venv --clear .bench/venv
	@.bench/venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@cp $< $@
price: setup ## what upload and conversion cost beside another commit's; REV=HEAD ROUNDS=15
	@$(python) -m bench.price $(or $(REV),HEAD) $(ROUNDS)
loadtest: setup $(measurable) ## a burst of 40 jobs on a cluster, hey and locust; JOBS=40, writes docs/autoscaling.md
	@$(measuring) -m loadtest $(JOBS)
coldstart: setup $(measurable) ## each function from zero to its answer on a cluster, and without Knative; RUNS=10
	@$(measuring) -m loadtest.coldstart $(RUNS)
$(measurable): requirements/loadtest.txt
	@echo "Making .loadtest/venv; this takes a minute or two."
	@$(python) -m venv --clear .loadtest/venv
	@$(measuring) -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@cp $< $@
format: setup ## rewrite to style
	@$(python) -m ruff check --fix-only .
	@$(python) -m ruff format .

##@ On a cluster

images: setup ## build what is not built yet; REGISTRY=, TAG=, PUSH=1, LOAD='kind load image-archive', N='auth convert'
	@$(python) -m knative.images build $(N)
secrets: setup ## make the secrets that OVERLAY=local, external or production lacks; ROTATE=mysql makes one anew
	@$(python) -m knative.secrets $(OVERLAY) $(ROTATE:%=--rotate %)
deploy: setup ## bring the cluster to OVERLAY=external and wait; ARGS='--dry-run', '--rollback auth', '--delete'
	@$(python) -m knative.deploy $(OVERLAY) $(ARGS)

##@ Care

setup: ## Debian packages and .venv; every target does this by itself
	@local/setup.sh
requirements: setup ## pin what pyproject.toml asks for, with hashes
	@for group in dev $(groups); do \
	    echo "requirements/$$group.txt"; \
	    $(uv) pip compile --quiet --group pyproject.toml:$$group --universal --python-version 3.11 --generate-hashes \
	        --no-header --no-annotate --prerelease if-necessary-or-explicit \
	        $$([ $$group = dev ] || echo --constraint requirements/dev.txt) --output-file requirements/$$group.txt || exit 1; \
	done
keys: setup ## a key pair for signing tokens in keys/, unless there is one
	@$(python) -m functions.auth.keys new keys
clean: ## stop everything, remove .venv, data, results and caches (keys/ stays)
	@if [ -x $(python) ]; then $(python) -m local down; fi
	rm -rf .venv .local .bench .loadtest .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
