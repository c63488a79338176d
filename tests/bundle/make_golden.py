"""Make the golden bundles: models of this schema that every later version must still load.

Run once a schema, and once where a schema gained a file (``card``: the model card):
``PYTHONPATH=src python tests/bundle/make_golden.py``. What is there is never made again.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from tiny_models import contents_of, items_of
from tiny_sequences import ASKED, saved_tagger

from headstart import bundle
from headstart.bundle.manifest import SCHEMA

GOLDEN = Path(__file__).parent / "golden"
CASES = [
    ("probe", "classification", "text"),
    ("prototypes", "classification", "image"),
    ("scratch", "classification", "text"),
    ("scratch", "regression", "table"),
]
WITH_CARD = [("probe", "classification", "text"), ("scratch", "token-classification", "text")]

if __name__ == "__main__":
    named = [(f"v{SCHEMA}-", case) for case in CASES]
    for start, case in [*named, *((f"v{SCHEMA}-card-", case) for case in WITH_CARD)]:
        target = GOLDEN / f"{start}{'-'.join(case)}"
        if target.exists():
            continue
        if case[1] == "token-classification":
            items = ASKED
            made = bundle.load(saved_tagger(target)).predict(items)
        else:
            bundle.save(target, contents_of(case))
            loaded = bundle.load(target)
            items = items_of(case[2], 3, seed=5)
            predicted = loaded.predict_proba if loaded.classes else loaded.predict
            made = predicted(items).tolist()
        expected = target.with_suffix(".json")
        expected.write_text(json.dumps({"case": case, "outputs": made}, indent=1) + "\n")
