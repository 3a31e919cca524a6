"""Well-known data sets as they are usually unpacked, read and made into archives of the service.

A reader, one file a family, walks a tree and yields its images with split, class and readable
name; `write_archive` makes one archive of them. Which classes a split is scored among follows
from the folders that are there, so the 200-class sets need no masks.
"""

from core.datasets.layouts.archive import KNOWN_LAYOUTS, WrittenArchive, write_archive
from core.datasets.layouts.entry import ImageEntry, KnownLayout

__all__ = ["KNOWN_LAYOUTS", "ImageEntry", "KnownLayout", "WrittenArchive", "write_archive"]
