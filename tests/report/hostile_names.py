"""What a stranger may call a class, a file or a column, to do harm."""

from __future__ import annotations

import random

SEEDS = (
    "<script>window.pwned = 1</script>",
    '"><img src=x onerror="window.pwned = 2">',
    "'><svg onload=window.pwned=3>",
    "javascript:window.pwned=4",
    "{{ 7 * 7 }}",
    "{% raw %}{{ self }}",
    "${7*7}",
    "</style><script>window.pwned=5</script>",
    "</script><script>window.pwned=6</script>",
    "</title><script>window.pwned=7</script>",
    "]]><script>window.pwned=8</script>",
    "--><script>window.pwned=9</script><!--",
    "<!--<script>",
    "&lt;script&gt;",
    "&#60;script&#62;",
    "\u202egnp.exe",
    "a\x00b",
    "\ud800",
    "x" * 10_000,
    "<" * 10_000,
    "<iframe srcdoc='<script>parent.pwned=10</script>'>",
    "<base href=//evil.example/>",
    "<meta http-equiv=refresh content=0;url=//evil.example>",
    "<link rel=stylesheet href=//evil.example/x.css>",
    "<form action=//evil.example><input autofocus onfocus=window.pwned=11>",
    "<a href=javascript:window.pwned=12>click</a>",
    "\u2028window.pwned=13\u2029",
    "\u2066\u2067\u2068 isolate",
    "../../etc/passwd",
    "\r\nSet-Cookie: x=1",
    "\ufeff<script>",
    "<math><mtext></mtext><mglyph><style><img src onerror=window.pwned=14>",
    "`${window.pwned=15}`",
    "\\u003cscript>window.pwned=16",
    "",
    "   ",
    "__proto__",
    "constructor",
    "NaN",
    "ﷺ" * 50,
)


def hostile(n: int = 200) -> list[str]:
    """Return so many different texts: the seeds, and pairs of them."""
    rng = random.Random(0)
    found = list(SEEDS)
    while len(found) < n:
        one, other = rng.sample(SEEDS, 2)
        text = f"{one[:300]}{rng.choice(('', ' ', '/', chr(34), chr(39)))}{other[:300]}"
        if text not in found:
            found.append(text)
    return found[:n]
