# Two commands from a fresh clone: `make demo` and `make test`. Everything else is for developers.
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test teeth torture lint bench clean install

install: $(STAMP)

$(STAMP): pyproject.toml requirements.txt
	scripts/install $(VENV)
	touch $@

demo: $(STAMP)
	PATH="$(abspath $(BIN)):$$PATH" scripts/demo

test: $(STAMP)
	PATH="$(abspath $(BIN)):$$PATH" scripts/test

# each promise of the service broken on purpose: its tests must notice
teeth: $(STAMP)
	PATH="$(abspath $(BIN)):$$PATH" scripts/teeth

# the long trials: kills, power cuts and tampering by the thousand; resumable, see docs/reliability.md
torture: $(STAMP)
	PATH="$(abspath $(BIN)):$$PATH" scripts/torture $(TRIALS)

lint: $(STAMP)
	PATH="$(abspath $(BIN)):$$PATH" scripts/lint

# make bench DATA=FOLDER measures on your films instead of synthetic ones
bench: $(STAMP)
	PATH="$(abspath $(BIN)):$$PATH" scripts/bench $(if $(DATA),--data $(DATA))

clean:
	rm -rf $(VENV) demo out
