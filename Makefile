# make help lists the targets. Each installs what it needs into .venv first, and only when
# pyproject.toml or constraints.txt changed since. PYTHON=/path/to/python3.12 chooses another.

VENV  := .venv
READY := $(VENV)/.ready
BIN   := $(CURDIR)/$(VENV)/bin
DEMO  := runs/demo

# A few threads: more of them only wait for each other on cells this small.
THREADS ?= $(shell n=$$(getconf _NPROCESSORS_ONLN); echo $$((n < 4 ? n : 4)))
export OMP_NUM_THREADS := $(THREADS)
export MKL_NUM_THREADS := $(THREADS)
export OPENBLAS_NUM_THREADS := $(THREADS)
export OMP_WAIT_POLICY := PASSIVE

.PHONY: demo test lint docs wheel-test clean help

demo: export JOBFLOW_CONFIG_FILE := $(CURDIR)/$(DEMO)/jobflow.yaml
demo: $(READY) ## Nine elements in five structures next to DFT; MODEL=sevenn:7net-0: another potential.
	@mkdir -p $(DEMO)
	@echo "LOG_FORMAT: '%(message)s'" > $(DEMO)/jobflow.yaml # not into the user's own database
	@cd $(DEMO) && $(BIN)/pet-flows screen prototypes:Li,Si,Ni,Cu,Ge,Nb,Mo,Ta,W \
	    --properties relax,eos,phonon,static --name demo \
	    $(if $(MODEL),--model $(MODEL)) || [ $$? -eq 3 ] # 3: some records failed
	@cd $(DEMO) && $(BIN)/pet-flows compare demo

# As many processes instead: what a test computes is too small for two threads. Each begins with a
# part of the files, whose tests share models.
test: export OMP_NUM_THREADS := 1
test: export MKL_NUM_THREADS := 1
test: export OPENBLAS_NUM_THREADS := 1
test: $(READY) ## All tests; ARGS="-n 0 -k phonon": some of them, in one process.
	@$(BIN)/python -m pytest -n $(THREADS) --dist worksteal $(ARGS)

lint: $(READY) ## Style and types.
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

docs: $(READY) ## The documentation, into site/.
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --clean
	@echo "Open site/index.html."

wheel-test: $(READY) ## The wheel, in an environment of its own, screens silicon.
	@$(BIN)/python .ci/wheel.py $(ARGS)

help: ## This list.
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

clean: ## Delete .venv and all that was built.
	rm -rf $(VENV) $(DEMO) build dist site .pytest_cache .mypy_cache .ruff_cache *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A python3.12 on the path may be pyenv's shim for a version that is not chosen: ask it.
$(READY): pyproject.toml constraints.txt
	@set -e; \
	for python in $(PYTHON) python3.12 "$$HOME"/.pyenv/versions/3.12*/bin/python3.12; do \
	    "$$python" -c 'import ensurepip, venv' 2>/dev/null && found="$$python" && break; \
	done; \
	if [ -z "$$found" ]; then \
	    echo "Python 3.12 with venv was not found: install it (pyenv install 3.12, or your" \
	         "system's python3.12-venv), or say make PYTHON=/path/to/python3.12." >&2; \
	    exit 1; \
	fi; \
	echo "Installing pet_flows and what it needs into $(VENV) (several GB, some minutes) ..."; \
	test -x $(VENV)/bin/python || "$$found" -m venv $(VENV); \
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-input \
	    --retries 10 -c constraints.txt -e '.[dev]'; \
	touch $@; \
	echo "Installed."
