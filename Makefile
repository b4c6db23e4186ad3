# make help lists the targets. What they do is written in Python, under tests/ and bench/, and in the playbooks.
PYTHON ?= python3
AGREEMENT_CASES ?= 100000
FUZZ_CASES ?= 100000
FLEET ?= 50
LOCKS := requirements.txt requirements-galaxy.txt requirements-go.txt requirements-test.txt

.PHONY: help dev dev-down test test-unit test-kill test-faults lint molecule agreement fuzz bench bench-fleet lock

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

dev: .venv ## Run a proven nats-server with a bot on this machine, with the development settings, without root
	@.venv/bin/ansible-playbook tests/bot/install.yml -i inventories/development
	@.venv/bin/ansible-playbook site.yml tests/bot/chat.yml -i inventories/development

dev-down: .venv ## Stop both
	@.venv/bin/ansible-playbook playbooks/stop.yml -i inventories/development

test: ## Run all tests, from nothing; as root, it installs and starts what is missing
	@$(PYTHON) -m tests.run

test-unit: ## Run the unit tests
	@$(PYTHON) -m tests.run unit

test-kill: ## Kill deployments at every point, and see the same command bring them to their end; takes an hour and more
	@$(PYTHON) -m tests.run kill

test-faults: ## Break everything that can break, and print what came of it
	@BUSY_RUNS=100 $(PYTHON) -m tests.run faults diagnosis assets thorough rollback

lint: ## Run the linters
	@$(PYTHON) -m tests.run lint

molecule: ## Run all Molecule scenarios
	@$(PYTHON) -m tests.run molecule

agreement: ## Compare 100,000 made-up configurations with the real server; AGREEMENT_CASES=n for another number
	@AGREEMENT_CASES=$(AGREEMENT_CASES) $(PYTHON) -m tests.run agreement

fuzz: ## Give every reader of a host 100,000 damaged samples; FUZZ_CASES=n for another number, FUZZ_SEED=n for others
	@FUZZ_CASES=$(FUZZ_CASES) $(PYTHON) -m tests.run fuzz

bench: ## Measure the role beside other ways, and what a change does to connected clients
	@$(PYTHON) -m tests.run bench

bench-fleet: ## Measure a run without a change on 50 hosts of an ordinary user on this machine; FLEET=n for another number
	@FLEET=$(FLEET) $(PYTHON) -m tests.run bench-fleet

lock: $(LOCKS) ## Draw the locks from requirements*.in, with uv

.PHONY: .venv
.venv:
	@$(PYTHON) -m tests.environment .venv requirements.txt requirements-go.txt

$(LOCKS): %.txt: %.in requirements.in
	@uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --custom-compile-command 'make lock' $< -o $@
