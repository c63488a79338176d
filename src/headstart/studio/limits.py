"""The limits of the studio: what may be sent to it, and how much it keeps."""

from __future__ import annotations

from dataclasses import dataclass

MB, GB = 1024**2, 1024**3


@dataclass(frozen=True)
class Limits:
    """What is refused beyond it.

    Parameters
    ----------
    file_bytes, upload_bytes : int
        Of one file that is sent, and of all files of one upload.
    files : int
        Of one upload, or in one archive.
    unpacked_bytes : int
        What an archive may unpack to.
    ratio : int
        How many times its packed size an archive, or a file of a megabyte and more in it, may be.
    depth, name_length : int
        Folders below one another, and characters of a path within an upload.
    body_bytes : int
        Of a request that is no file.
    listed : int
        Entries of a folder that are listed.
    streams : int
        Pages that may read along at the same time.
    spare_bytes : int
        What stays free on the disk.
    seconds_idle : float
        How long a sender may say nothing before the connection is closed.
    """

    file_bytes: int = 2 * GB
    upload_bytes: int = 4 * GB
    files: int = 100_000
    unpacked_bytes: int = 8 * GB
    ratio: int = 200
    depth: int = 12
    name_length: int = 400
    body_bytes: int = 64 * 1024
    listed: int = 2_000
    streams: int = 24
    spare_bytes: int = 1 * GB
    seconds_idle: float = 30.0
