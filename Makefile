CHAOS = 600

.PHONY: help install run test unit lint bench bench-peers chaos servers external screenshots dist image

help:
	@echo "make run      start Reveille on port 8080, with a PostgreSQL of its own unless DATABASE_URL is set"
	@echo "              (another port: PORT=8888 make run; all settings: docs/settings.md)"
	@echo "make test     run every check (15 to 20 minutes on 2 cores)"
	@echo "make unit     run the tests that need no database, in under a minute"
	@echo "make lint     run every check but the tests"
	@echo "make bench    measure speed, lateness and memory beside APScheduler as shipped"
	@echo "make bench-peers  measure other schedulers beside Reveille (45 to 55 minutes; needs redis-server, Node 20 and an idle machine)"
	@echo "make chaos    let processes, database and network fail at random for CHAOS=600 seconds; SEED=n repeats a run"
	@echo "make external  install the products of the presets and the coding agents below var/external, and try them"
	@echo "make servers  run a short acceptance on each PostgreSQL from 14 to 18 that Debian, npm and the wheel offer here"
	@echo "make dist     build the wheels and source distributions of server and client into dist/"
	@echo "make image    run the steps of deploy/Dockerfile in var/image, without a container engine (some minutes)"
	@echo "make screenshots  take a picture of every page, light and dark, into docs/screenshots"
	@echo "make install  make .venv and install Reveille's dependencies"

install:
	@tools/setup again

run:
	@tools/setup
	@.venv/bin/reveille run

test:
	@tools/setup dev
	@tools/check

unit:
	@tools/setup dev
	@.venv/bin/python -m pytest -q -n 2 tests/unit

lint:
	@tools/setup dev
	@tools/check lint

bench:
	@tools/setup dev
	@.venv/bin/python -m tests.bench

bench-peers: .venv-peers .venv-peers-alpha .venv-peers-node
	@tools/setup dev
	@.venv/bin/python -m tests.bench.peers

.venv-peers .venv-peers-alpha: .venv-%: requirements/bench-%.txt
	@python3 -m venv $@
	@$@/bin/pip install -q --require-hashes -r $<
	@touch $@

.venv-peers-node: requirements/bench-peers-node/package-lock.json
	@mkdir -p $@
	@cp requirements/bench-peers-node/package*.json $@
	@cd $@ && npm ci --silent --no-audit --no-fund
	@touch $@

chaos:
	@tools/setup dev
	@.venv/bin/python -m tests.acceptance.chaos $(CHAOS) $(SEED)

external:
	@tools/setup dev
	@tests/external/install var/external
	@EXTERNAL=var/external .venv/bin/python -m pytest -q tests/external

servers:
	@tools/setup dev
	@.venv/bin/python -m tests.acceptance.chaos.servers

dist:
	@tools/setup dev
	@.venv/bin/python tools/dist

image:
	@tools/setup dev
	@.venv/bin/python tools/image

screenshots:
	@tools/setup dev
	@.venv/bin/python -m tests.browser.screenshots
