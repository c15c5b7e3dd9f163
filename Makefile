# The front door of the workshop: every verb, and no logic of its own. `make` alone lists them.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# Debian keeps servers where only root looks for programs.
export PATH := $(PATH):/usr/sbin:/sbin

ENSURE := bash services/local/ensure_machine.sh
VENV   := .venv/bin/python
# The verbs of a deployed stack: STACK=prod, and DRY_RUN=1, FORCE=1, YES=1, JSON=1 or CONFIRM=prod as wanted.
OPERATE = $(VENV) -m infra.operate --stack '$(STACK)' $(if $(DRY_RUN),--dry-run) $(if $(FORCE),--force) $(if $(YES),--yes) \
	$(if $(JSON),--json) $(if $(CONFIRM),--confirm '$(CONFIRM)')
LOCKS  := dev queue-manager worker rehearsal frontend auth admin cli local infra rehearse test bench-peers gpu

.PHONY: preview gpu-up gpu-down switch-gpu person-add person-remove person-rekey outputs passwords drift history rollback orphans rehearse golden-graph
.PHONY: help up status down test test-fast test-engine lint format bench fairness chaos isolation test-images lock clean redis-server nginx chromium docker-engine engine

help: ## List every verb
	@echo "The ComfyuME workshop. Verbs:"
	@sed -nE 's/^([a-z-]+):.*## (.*)/\1\t\2/p' $(MAKEFILE_LIST) | while IFS=$$'\t' read -r verb words; do \
		printf '  make %-13s %s\n' "$$verb" "$$words"; done

up: $(if $(STACK),.venv/.ready-infra,redis-server nginx .venv/.ready-local) ## Start the workshop on this machine (Ctrl-C stops it), or with STACK=prod deploy that stack
	@exec $(if $(STACK),$(OPERATE) up,$(VENV) -m services.local up)

status: .venv/.ready-local ## Say what of the workshop runs, and where
	@$(VENV) -m services.local status

down: .venv/.ready-$(if $(STACK),infra,local) ## Stop the workshop that runs here, or with STACK=prod back that stack up and delete all but data
	@$(if $(STACK),$(OPERATE) down,$(VENV) -m services.local down)

preview: .venv/.ready-infra ## Show what an update of STACK would change (REPORT=file: as Markdown)
	@$(OPERATE) preview $(if $(REPORT),--report '$(REPORT)')

gpu-up: .venv/.ready-infra ## Rent N GPU hosts for STACK; each restores itself
	@$(OPERATE) gpu-up '$(N)'

gpu-down: .venv/.ready-infra ## Back all GPU hosts of STACK up and give them back
	@$(OPERATE) gpu-down

switch-gpu: .venv/.ready-infra ## Rent another TYPE of GPU for STACK instead; the hosts are backed up first
	@$(OPERATE) switch-gpu '$(TYPE)'

person-add: .venv/.ready-infra ## Give NAME a web UI and a password in STACK (ROLE=instructor or operator: the console)
	@$(OPERATE) person-add '$(NAME)' $(if $(ROLE),--role '$(ROLE)')

person-remove: .venv/.ready-infra ## Take NAME's web UI and password in STACK away; the files stay
	@$(OPERATE) person-remove '$(NAME)'

person-rekey: .venv/.ready-infra ## Give NAME a new password in STACK; nobody else's session ends
	@$(OPERATE) person-rekey '$(NAME)'

outputs: .venv/.ready-infra ## Show addresses, hosts, containers and buckets of STACK
	@$(OPERATE) outputs

passwords: .venv/.ready-infra ## Show the passwords of STACK, read from its app host (NAME=dora: hers alone)
	@$(OPERATE) passwords $(if $(NAME),--name '$(NAME)')

drift: .venv/.ready-infra ## Show what somebody changed at the providers of STACK
	@$(OPERATE) drift

history: .venv/.ready-infra ## List the updates of STACK, with those forced in session hours
	@$(OPERATE) history

rollback: .venv/.ready-infra ## Bring the settings of update TO=number of STACK back
	@$(OPERATE) rollback '$(TO)'

rehearse: engine docker-engine ## Deploy STACK on this machine against stand-in clouds: up, one job, up again, a change, destroy (KEEP=1: look around)
	@$(VENV) -m infra.rehearsal '$(or $(STACK),staging)' $(if $(KEEP),--keep)

golden-graph: .venv/.ready-dev ## Write the resource graphs in tests/golden anew, for review
	@$(VENV) -m tests.support.resource_graph --write

orphans: .venv/.ready-infra ## Name what Verda bills for STACK and its state does not know
	@$(OPERATE) orphans

test: lint redis-server nginx chromium ## Check and test everything: lint, fast tests, then slow ones and the engine's side by side
	@# Slow tests mostly wait, so two lanes run at once; the engine, which the second needs, is built beside the fast tests.
	@# A slow test meets real processes on a machine of unknown load: one that fails is run once more, and named.
	@mkdir -p out; failed=0; \
	nice $(VENV) -m infra.rehearsal.engine > /dev/null & trap wait EXIT; \
	$(VENV) -m pytest -m "not slow and not images and not engine"; \
	{ failed=0; $(VENV) -m infra.rehearsal.engine > /dev/null || true; \
	  $(VENV) -m pytest -m "engine and not containers" --reruns 1 || failed=1; \
	  $(VENV) -m pytest tests/browser -m slow --reruns 1 || failed=1; exit $$failed; } > out/second-lane.log 2>&1 & lane=$$!; \
	$(VENV) -m pytest -m "slow and not images and not engine" --ignore tests/browser --reruns 1 || failed=1; \
	echo "The other lane: the real Pulumi engine, and the stock page in a browser."; \
	wait $$lane || failed=1; cat out/second-lane.log; exit $$failed

test-fast: redis-server nginx .venv/.ready-dev ## Run the fast tests only
	@$(VENV) -m pytest -m "not slow and not images and not engine"

test-engine: engine docker-engine ## Preview, deploy and destroy by the real Pulumi engine against stand-in clouds
	@$(VENV) -m pytest -m engine --reruns 1

test-images: docker-engine nginx .venv/.ready-dev ## Build the container images and run them on a real Docker engine
	@$(VENV) -m pytest -m images tests/images

lint: .venv/.ready-dev ## Check form, types and who imports whom
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports

format: .venv/.ready-dev ## Bring the source into the common form
	@.venv/bin/ruff check --fix .
	@.venv/bin/ruff format .

bench: redis-server nginx chromium .venv/.ready-dev .venv-peers/.ready-bench-peers ## Measure ourselves beside other queues (BENCH_JSON=file: rows as JSON)
	@$(VENV) -m tests.benchmarks

fairness: redis-server .venv/.ready-dev ## Compare 10,000 random queue histories with the plain model
	@FAIRNESS_HISTORIES=10000 $(VENV) -m pytest --timeout 0 tests/integration/test_fairness_histories.py

chaos: redis-server .venv/.ready-dev ## Kill manager, Redis and workers at random for 3 minutes; no job may be lost
	@$(VENV) -m tests.chaos

isolation: redis-server nginx .venv/.ready-dev ## Try every address of 20 participants against each other; nothing may be seen
	@$(VENV) -m tests.isolation

lock: .venv/.ready-dev ## Resolve the dependencies anew into requirements/
	@for extra in $(LOCKS); do \
		case $$extra in dev|bench-peers) same= ;; *) same="--constraints requirements/dev.txt" ;; esac; \
		echo "requirements/$$extra.txt"; \
		.venv/bin/uv pip compile pyproject.toml --quiet --upgrade --extra $$extra $$same --universal --python-version 3.11 \
			--generate-hashes --no-annotate --no-emit-index-url --no-emit-find-links \
			--custom-compile-command "make lock" --output-file requirements/$$extra.txt; \
	done

clean: ## Remove environments and caches; the workshop's data stay
	@rm -rf .venv .venv-peers .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build *.egg-info
	@find services tests infra -name __pycache__ -type d -prune -exec rm -rf {} +

nginx:
	@$(ENSURE) package nginx nginx-light "it is the workshop's front door: HTTPS, sign-in, one address for everybody"

chromium:
	@$(ENSURE) package chromium chromium "the stock page is tested in a real browser"

engine: .venv/.ready-dev
	@# Where there is no engine and no way to build one, this says so, and the engine's tests say what they skip.
	@$(VENV) -m infra.rehearsal.engine > /dev/null || true

docker-engine:
	@$(ENSURE) package dockerd docker.io "the images are built and run on a real Docker engine"
	@$(ENSURE) package debootstrap debootstrap "it makes a small Debian that stands in for the registry's base image"

redis-server:
	@$(ENSURE) package redis-server redis-server "the queue lives in a real Redis; the workshop starts one of its own"

.venv/.ready-%: requirements/%.txt pyproject.toml services/local/ensure_machine.sh
	@$(ENSURE) environment .venv $<

.venv-peers/.ready-%: requirements/%.txt services/local/ensure_machine.sh
	@$(ENSURE) environment .venv-peers $<
