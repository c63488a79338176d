"""The verbs and what each does: data, so that ``headstart --help`` needs to import nothing."""

from __future__ import annotations

VERBS: dict[str, str] = {
    "fit": "Train the better of transfer and no transfer, and measure the gain.",
    "check": "List the problems in the data before anything is trained.",
    "predict": "Label new items with a saved model.",
    "evaluate": "Measure a saved model on labelled data.",
    "report": "Write what is known of a saved model as one HTML file.",
    "serve": "Serve a saved model to other programs, with a page for people.",
    "export": "Write a saved model as ONNX with a small runner: needs no torch.",
    "push": "Put a saved model where others find it: a directory, or the Hugging Face hub.",
    "sign": "Sign a saved model with your key.",
    "verify": "Verify a saved model; with --key, who signed it.",
    "sources": "List the pretrained sources; `sources DATA` ranks them, `install NAME` fetches.",
    "transfer": "From labelled data to another domain; adapt only where that helps.",
    "adapt": "Change a saved model for another domain, its source data gone.",
    "metatrain": "Learn from many small tasks how to learn the next one: makes a source.",
    "examples": "List real example data; `examples NAME -o DIR` fetches it.",
    "studio": "The whole way in a browser on this machine: data, fit, report, model.",
    "cache": "Show what is cached and how large it is; --clear empties it.",
}


def help_text() -> str:
    """Return what ``headstart --help`` prints."""
    width = max(map(len, VERBS))
    lines = [
        "Usage: headstart VERB [OPTIONS] [ARGUMENTS]",
        "",
        "Transfer learning that proves it helped. Give it a small labelled data set; it finds",
        "a pretrained source, measures the gain over not transferring, and hands back the",
        "better model.",
        "",
        "Verbs:",
        *(f"  {name:<{width}}  {text}" for name, text in VERBS.items()),
        "",
        "Options:",
        "  --version  Show the version.",
        "  --help     Show this text; `headstart VERB --help` tells of one verb.",
        "",
        "Start here:",
        "  headstart examples reviews -o reviews",
        "  headstart fit reviews/reviews.csv --shots 16 -o model",
        '  headstart predict model "a warm and funny film" "two hours I will not get back"',
        "",
    ]
    return "\n".join(lines)
