.PHONY: help install run test lint

help:
	@echo "make run      start Reveille, with a PostgreSQL of its own unless DATABASE_URL is set"
	@echo "make test     run every check"
	@echo "make lint     run every check but the tests"
	@echo "make install  make .venv and install Reveille's dependencies"

install:
	@tools/setup again

run:
	@tools/setup
	@.venv/bin/reveille run

test:
	@tools/setup dev
	@tools/check

lint:
	@tools/setup dev
	@tools/check lint
