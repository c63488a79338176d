"""Make the golden bundles: models of this schema that every later version must still load.

Run once a schema: ``PYTHONPATH=src python tests/bundle/make_golden.py``. What is there already is
never made again.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from tiny_models import contents_of, items_of

from headstart import bundle
from headstart.bundle.manifest import SCHEMA

GOLDEN = Path(__file__).parent / "golden"
CASES = [
    ("probe", "classification", "text"),
    ("prototypes", "classification", "image"),
    ("scratch", "classification", "text"),
    ("scratch", "regression", "table"),
]

if __name__ == "__main__":
    for case in CASES:
        target = GOLDEN / f"v{SCHEMA}-{'-'.join(case)}"
        if target.exists():
            continue
        bundle.save(target, contents_of(case))
        loaded = bundle.load(target)
        items = items_of(case[2], 3, seed=5)
        made = loaded.predict_proba(items) if loaded.classes else loaded.predict(items)
        expected = target.with_suffix(".json")
        expected.write_text(json.dumps({"case": case, "outputs": made.tolist()}, indent=1) + "\n")
