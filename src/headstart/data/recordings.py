"""What is said of recordings: lengths, rates, channels, silence; and what `check` finds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from headstart.core.types import Decision
from headstart.data.audio import AudioFacts
from headstart.data.findings import Finding, found, many
from headstart.data.part import shown

LONG = 60.0
"""Recordings of more seconds than this are heard in part: in windows evenly spread."""
SHORT = 0.1
"""Recordings of fewer seconds than this are named."""
LOW_RATE = 8000
"""Recordings below this rate are named: speech needs as much."""


LOUD = "louder than full scale"


def said_of(heard: Sequence[AudioFacts], ids: Sequence[str]) -> list[Decision]:
    """Return the decisions that reading recordings takes: lengths, channels, rates, what is odd.

    Parameters
    ----------
    heard : sequence of AudioFacts, length n
    ids : sequence of str, length n
    """
    if not heard:
        return []
    n, said = len(heard), [_lengths(heard)]
    several = Counter(each.channels for each in heard if each.channels > 1)
    if several:
        kinds = ", ".join("stereo" if k == 2 else f"of {k} channels" for k in sorted(several))
        k = several.total()
        verb = "is" if k == 1 else "are"
        said.append(
            Decision(f"{k:,} of {n:,} recordings {verb} {kinds}", "mixed down: channels' mean")
        )
    rates = Counter(each.rate for each in heard)
    if len(rates) > 1:
        listed = ", ".join(f"{count:,} at {rate:,} Hz" for rate, count in rates.most_common(4))
        more = f", {len(rates) - 4} other rates" if len(rates) > 4 else ""
        said.append(Decision(f"recordings of {len(rates)} rates", f"{listed}{more}: resampled"))
    tests: tuple[tuple[str, str, Callable[[AudioFacts], bool]], ...] = (
        ("silent", "kept, but nothing can be learnt from them", _has("silent")),
        ("clipped", "kept; their loudest parts are cut off", _has("clipped")),
        (LOUD, "cut off at full scale, -1 and 1", _has(LOUD)),
        (f"longer than {LONG:g} s", "heard in windows evenly spread", _longer),
    )
    for what, why, odd in tests:
        names = [name for name, each in zip(ids, heard, strict=True) if odd(each)]
        if names:
            verb = "is" if len(names) == 1 else "are"
            head = f"{len(names):,} of {n:,} recordings {verb} {what}"
            said.append(Decision(head, f"{why}: {shown(names, 3)}", "headstart check lists them"))
    return said


def _lengths(heard: Sequence[AudioFacts]) -> Decision:
    lengths = sorted(each.seconds for each in heard)
    middle = lengths[len(lengths) // 2]
    rates = sorted({each.rate for each in heard})
    at = f"{rates[0]:,}" if len(rates) == 1 else f"{rates[0]:,} to {rates[-1]:,}"
    if lengths[0] == lengths[-1]:
        return Decision(f"recordings of {seconds(middle)}", f"at {at} Hz")
    what = f"recordings of {seconds(lengths[0])} to {seconds(lengths[-1])}"
    return Decision(what, f"{seconds(middle)} in the middle, at {at} Hz")


def seconds(length: float) -> str:
    """Return a length as people say it: "0.42 s", "12.0 s", "2 h 3 min".

    Examples
    --------
    >>> [seconds(length) for length in (0.421, 12.04, 200.0, 7380.0)]
    ['0.42 s', '12.0 s', '3 min 20 s', '2 h 3 min']
    """
    if length < 10:
        return f"{length:.2f} s"
    if length < 60:
        return f"{length:.1f} s"
    minutes, rest = divmod(round(length), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def _has(note: str) -> Callable[[AudioFacts], bool]:
    return lambda each: note in each.notes


def _longer(each: AudioFacts) -> bool:
    return each.seconds > LONG


def findings_of(names: Sequence[str], heard: Sequence[AudioFacts]) -> list[Finding]:
    """Return what `check` says of recordings: silent, clipped, loud, short, long, of odd rates.

    Parameters
    ----------
    names : sequence of str, length n
    heard : sequence of AudioFacts, length n
    """

    def of(
        kind: str,
        severity: str,
        odd: Callable[[AudioFacts], bool],
        what: str,
        advice: str,
        note: Callable[[AudioFacts], str],
    ) -> list[Finding]:
        them = [(name, each) for name, each in zip(names, heard, strict=True) if odd(each)]
        return found(
            kind,
            "warning" if severity == "warning" else "info",
            [name for name, _ in them],
            f"{many(len(them), 'recording')} {what}",
            advice,
            notes=[note(each) for _, each in them],
        )

    usual = Counter(each.rate for each in heard).most_common(1)[0][0] if heard else 0
    return [
        *of(
            "silent-recordings",
            "warning",
            _has("silent"),
            "without a sound",
            "they tell nothing: record them again or remove them",
            lambda each: f"{seconds(each.seconds)}, loudest sample {each.peak:.1g}",
        ),
        *of(
            "clipped-recordings",
            "warning",
            _has("clipped"),
            "with peaks cut off",
            "record with less gain; what is cut off cannot be had back",
            lambda each: f"{each.clipped:.1%} of the samples",
        ),
        *of(
            "loud-recordings",
            "warning",
            _has(LOUD),
            LOUD,
            "what lies beyond -1 and 1 is cut off: divide the samples by their largest",
            lambda each: f"loudest sample {each.peak:.3g}",
        ),
        *of(
            "short-recordings",
            "info",
            lambda each: each.seconds < SHORT,
            f"shorter than {SHORT:g} s",
            "there is little to hear in them",
            lambda each: f"{each.seconds * 1000:.0f} ms",
        ),
        *of(
            "long-recordings",
            "info",
            _longer,
            f"longer than {LONG:g} s",
            "windows evenly spread are heard; cut them to what matters",
            lambda each: seconds(each.seconds),
        ),
        *of(
            "other-rates",
            "info",
            lambda each: each.rate != usual,
            f"at another rate than the usual {usual:,} Hz",
            "all are brought to one rate; if a class has a rate of its own, a model may learn that",
            lambda each: f"{each.rate:,} Hz",
        ),
        *of(
            "low-rates",
            "info",
            lambda each: each.rate < LOW_RATE,
            f"below {LOW_RATE:,} Hz",
            "what lies above half the rate is not in the recording",
            lambda each: f"{each.rate:,} Hz",
        ),
    ]
