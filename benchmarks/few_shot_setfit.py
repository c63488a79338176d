"""SetFit and sentence-transformers + logistic regression, in an environment of their own.

``few_shot.py`` runs this file with the Python of that environment; it reads one JSON object a line
and answers each with another. Neither headstart nor anything of it is imported here.

    echo '{"method": "setfit", "weights": DIR, "texts": [...], ...}' | python few_shot_setfit.py
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
import warnings
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
warnings.filterwarnings("ignore")


Seconds = dict[str, float]


def now() -> tuple[float, float]:
    """Return the time on the clock and of the processor."""
    return time.perf_counter(), time.process_time()


def since(start: tuple[float, float]) -> Seconds:
    """Return the seconds since then."""
    clock, cpu = now()
    return {"seconds": round(clock - start[0], 3), "cpu": round(cpu - start[1], 3)}


def setfit(job: dict[str, Any]) -> tuple[Seconds, list[str], int]:
    """Train SetFit with its published defaults; return seconds, predictions, pairs."""
    from datasets import Dataset
    from setfit import SetFitModel, Trainer, TrainingArguments

    model = SetFitModel.from_pretrained(job["weights"], labels=sorted(set(job["labels"])))
    given = {} if job["iterations"] is None else {"num_iterations": job["iterations"]}
    data = Dataset.from_dict({"text": job["texts"], "label": job["labels"]})
    with tempfile.TemporaryDirectory() as scratch:
        arguments = TrainingArguments(
            output_dir=scratch,
            seed=job["seed"],
            save_strategy="no",
            report_to="none",
            show_progress_bar=False,
            **given,
        )
        trainer = Trainer(model=model, args=arguments, train_dataset=data)
        start = now()
        trainer.train()
        seconds = since(start)
    pairs = 16 * int(trainer.st_trainer.state.max_steps)
    return seconds, [str(one) for one in model.predict(job["test"])], pairs


def embed(job: dict[str, Any]) -> tuple[Seconds, list[str], int]:
    """Fit logistic regression on sentence-transformers' embeddings."""
    from sentence_transformers import SentenceTransformer
    from sklearn.linear_model import LogisticRegression

    encoder = SentenceTransformer(job["weights"])
    start = now()
    features = encoder.encode(job["texts"], show_progress_bar=False)
    head = LogisticRegression(max_iter=1000).fit(features, job["labels"])
    seconds = since(start)
    found = head.predict(encoder.encode(job["test"], show_progress_bar=False))
    return seconds, [str(one) for one in found], 0


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever else is printed is no answer
    for line in sys.stdin:
        job = json.loads(line)
        seconds, found, pairs = {"setfit": setfit, "st+lr": embed}[job["method"]](job)
        told = {**seconds, "predictions": found, "pairs": pairs}
        answers.write(json.dumps(told) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
