# Two commands do everything on a fresh machine: `make run` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OUT ?= out
MINUTES ?= 30
SEED ?= 1
NODES ?= 1
DAMAGES ?= 50000
POISON ?= 10000000
KILLS ?= 500
RECORDS ?= 50000000
SEEDS ?= 100000

# Doses of `make faults`; the tests take the small ones that stand in tests/faults.
FAULTS = FIELDTAP_FAULT_RESULTS=benchmarks/results/reliability.jsonl FIELDTAP_KILLS=$(KILLS) FIELDTAP_RECORDS=$(RECORDS) \
    FIELDTAP_PROBE_EVERY=64 FIELDTAP_JOINS=500 FIELDTAP_SLEEPS=100 FIELDTAP_OFFSETS=20 FIELDTAP_SHARED=50 \
    FIELDTAP_SHARED_S=60 FIELDTAP_BROKER_KILLS=60 FIELDTAP_FULL=50 FIELDTAP_AWAY=20 FIELDTAP_POISON=20000 \
    FIELDTAP_TERMS=50 $(BIN)/python -m pytest -s

.PHONY: help setup run test lint quality fuzz faults faults-poison faults-shard faults-sim bench docs agreement kafka-up kafka-down constraints clean

help:            ## this list
	@grep -hE '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## /  make \1\t/' | expand -t 22

setup: $(VENV)/.ready   ## the environment in .venv, pinned by infra/constraints.txt

# pip's hash mode refuses an editable install, hence the two steps.
$(VENV)/.ready: infra/constraints.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "fieldtap needs Python 3.11 or newer; set PYTHON=")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r infra/constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

run: setup       ## simulate a plant, learn from its clean hours, find its attacks
	@mkdir -p $(OUT)
	$(BIN)/fieldtap simulate --out $(OUT)/clean --minutes 60 --seed 1
	$(BIN)/fieldtap simulate --out $(OUT)/attacked --minutes $(MINUTES) --seed 2 --attacks all
	$(BIN)/fieldtap learn $(OUT)/clean/plant.pcap --out $(OUT)/baseline.parquet --site $(OUT)/clean/site.toml
	$(BIN)/fieldtap run $(OUT)/attacked/plant.pcap --out $(OUT)/findings --baseline $(OUT)/baseline.parquet --site $(OUT)/attacked/site.toml
	$(BIN)/fieldtap show $(OUT)/findings alerts

test: setup lint ## every check and test
	$(BIN)/python -m pytest

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fuzz: setup      ## two million mutated packets with bounds checks on (the tests run 200,000)
	$(BIN)/python tests/fuzz/campaign.py --inputs 2000000 --seed $(SEED)

faults: setup    ## large doses of tests/faults, some hours: benchmarks/results/reliability.md; one: make faults-kills
	$(FAULTS) tests/faults
	$(BIN)/python -m tests.faults.table

faults-%: setup
	$(FAULTS) tests/faults/test_$*.py
	$(BIN)/python -m tests.faults.table

faults-poison: setup ## ten million poisoned messages through decode and all detectors (the tests run 20,000)
	$(BIN)/python -X faulthandler -W error tests/transport/poison.py --inputs $(POISON) --seed $(SEED)

faults-shard: setup ## kill a shard with -9 500 times, with a real Kafka (the tests do so 20 times)
	FIELDTAP_KILLS=$(KILLS) $(BIN)/python -m pytest tests/kafka/test_shard_kills.py -s

faults-sim: setup ## 100,000 simulated runs of the ledger and 50,000 damaged objects (the tests: 2,000 and 500)
	$(BIN)/python -m tests.simulation.campaign --seeds $(SEEDS)
	$(BIN)/python -m tests.ledger.damage --objects $(DAMAGES)

quality: setup   ## what is found of public labelled data (FIELDTAP_DATA): benchmarks/results/quality.md
	$(BIN)/python -m benchmarks.quality

bench: setup     ## every figure of benchmarks/README.md, added to benchmarks/results
	$(BIN)/python -m benchmarks.table

docs: setup      ## what is generated from the code: docs/schema.md, tables of the README
	$(BIN)/python -m docs.generate

agreement: setup ## docs/agreement.md: decode against tshark, Zeek, ICSNPP and IPAL
	$(BIN)/python tests/oracle/agree.py --write

kafka-up: setup  ## a real Kafka on 127.0.0.1:19092, without Docker; NODES=3 for three; data in .kafka
	@$(BIN)/python -m infra.kafka.broker up --nodes $(NODES)

kafka-down:      ## end it; the data stays
	@$(BIN)/python -m infra.kafka.broker down

constraints:     ## pin anew: names, versions and hashes, no addresses
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes --no-header \
	    --no-annotate --upgrade --output-file infra/constraints.txt

clean:           ## remove the environment and what `make run` wrote
	rm -rf $(VENV) $(OUT)
