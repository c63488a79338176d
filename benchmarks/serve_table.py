"""Make ``results/serve.md`` of ``results/serve.json`` and ``results/serve_speed.json``.

python benchmarks/serve_table.py
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parent / "results"
TITLES = {
    "cases": "1,000 cases and more made up by schemathesis: no 500 (nor a status, type or shape "
    "that the description does not have). What schemathesis calls a server error is the 501 of "
    "/explain, which an export cannot do: the description says so",
    "tags": "5,000 requests at concurrency 64, every tenth cancelled, every tenth bad: each "
    "caller gets its own answer (probabilities compared with those of the model asked alone)",
    "overload": "Four times as many requests as can be answered, for 20 s: only 200, 503 and 504, "
    "memory flat, health within 1 s",
    "slow": "100 clients that send a byte a second (half of them headers, half a body): closed "
    "within 15 s, others served",
    "stops": "10 times SIGTERM under the load of 32 clients: no request that was accepted is lost",
    "bombs": "Picture bombs and 2,000 pictures with changed bytes: 4xx, or 200 where a picture "
    "could still be read; at most 100 MB more memory",
}


def proof(found: dict[str, Any]) -> list[str]:
    lines = []
    for name, title in TITLES.items():
        if name not in found:
            continue
        one = found[name]
        lines += [
            f"### {title}",
            "",
            f"{'As promised' if one['as promised'] else '**Not so**'}.",
            "",
        ]
        lines += ["| what | measured |", "|---|---|"]
        for key, value in one.items():
            if key != "as promised":
                shown = json.dumps(value) if isinstance(value, dict | list) else value
                lines.append(f"| {key} | {str(shown).replace('|', ' ')} |")
        lines.append("")
    return lines


def speed(found: dict[str, Any]) -> list[str]:
    lines = [
        "## Beside LitServe and MLServer",
        "",
        f"`{found['command']}`: the same exported model in all, one text a request, servers and "
        f"clients on one machine, {found['rounds']} rounds by turns, medians. CPU is that of all "
        f"processes of a server; the model alone takes {found['model alone, CPU ms']} ms of it.",
        "",
        "| clients | server | requests a second | p50 ms | p99 ms | CPU ms a request |",
        "|---|---|---|---|---|---|",
    ]
    names = list(found["servers"])
    for clients in found["servers"][names[0]]:
        for name in names:
            one = found["servers"][name][clients]
            cells = (one["a second"], one["p50 ms"], one["p99 ms"], one["CPU ms"])
            lines.append(f"| {clients} | {name} | " + " | ".join(map(str, cells)) + " |")
    return [*lines, ""]


def main() -> int:
    lines = ["# The service", ""]
    kept = RESULTS / "serve.json"
    if kept.is_file():
        found = json.loads(kept.read_text())
        machine = found["machine"]
        lines += [
            "`make proof-serve` (`benchmarks/serve_proof.py`): exported models, `headstart serve` "
            "with its defaults, clients on the same machine.",
            "",
            f"{machine['cpu']}, {machine['cores']} cores, Python {machine['python']}. The machine "
            "was shared with other work, so that times are upper bounds.",
            "",
            *proof(found),
        ]
    timed = RESULTS / "serve_speed.json"
    if timed.is_file():
        lines += speed(json.loads(timed.read_text()))
    (RESULTS / "serve.md").write_text("\n".join(lines).rstrip() + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
