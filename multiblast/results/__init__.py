"""Results: one archive per sequence, under the hash of what decides it."""

from typing import TYPE_CHECKING

from multiblast.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from multiblast.results.holders import new_holder
    from multiblast.results.keys import ResultKeys
    from multiblast.results.packs import PackWriter, read_index
    from multiblast.results.results import Claim, Results, StoredResult

__all__ = ["Claim", "PackWriter", "ResultKeys", "Results", "StoredResult", "new_holder", "read_index"]

__getattr__ = lazy_exports(__name__)
