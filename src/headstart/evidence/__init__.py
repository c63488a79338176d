"""The evidence room: what judged a model -> what its report shows, as data.

Numbers are made in ``evaluate``, explanations in ``explain``, pictures of items in
``data.previews``; here they are put together, and sampled where there are many.
"""

from __future__ import annotations

from headstart.evidence.collect import collect
from headstart.evidence.domains import collect_domains
from headstart.evidence.held import Judging, judging

__all__ = ["Judging", "collect", "collect_domains", "judging"]
