"""Items to features: the frozen backbone run over texts and images, fast, bounded and cached.

``features`` gives the (n, d) float32 features of items, ``features_together`` those of several
views of a source in one run; ``pixels`` small colour images for models
that learn from pixels, ``heard`` the like of recordings; ``cache_info`` and ``cache_clear`` look
after the cache on disk.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headstart.encode.cache import CacheInfo, cache_clear, cache_info
    from headstart.encode.recordings import heard
    from headstart.encode.thumbnails import pixels
    from headstart.encode.windows import features, features_together

__all__ = [
    "CacheInfo",
    "cache_clear",
    "cache_info",
    "features",
    "features_together",
    "heard",
    "pixels",
]

_HOMES = {
    "CacheInfo": "cache",
    "cache_clear": "cache",
    "cache_info": "cache",
    "features": "windows",
    "features_together": "windows",
    "heard": "recordings",
    "pixels": "thumbnails",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
