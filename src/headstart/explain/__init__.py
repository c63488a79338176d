"""The explain room: an item and a model -> which parts of the item the prediction rests on.

Occlusion (Zeiler and Fergus, ECCV 2014; for texts Li et al., arXiv 1612.08220): a part is hidden,
and the weight of the part is how far the probability of the label falls (for numbers: how far the
prediction falls). It asks the model as it is, so it serves every source, every strategy and a
blend of two. Parts that only matter together are not seen.
"""

from __future__ import annotations

from headstart.explain.occlusion import Asked, Hidden, explain

__all__ = ["Asked", "Hidden", "explain"]
