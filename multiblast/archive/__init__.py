"""BLAST+ archives: split into one per query, made right, and merged again."""

from multiblast.archive.batch import Head
from multiblast.archive.merge import merge
from multiblast.archive.split import SplitArchive, split
from multiblast.archive.statistics import DatabaseSize
from multiblast.archive.summary import Summary

__all__ = ["DatabaseSize", "Head", "SplitArchive", "Summary", "merge", "split"]
