"""Couplings: how files reach a step, wherever it runs and wherever they are."""

from typing import TYPE_CHECKING

from multiblast.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from multiblast.coupling.allowed import brought
    from multiblast.coupling.cache import InputCache
    from multiblast.coupling.choosing import Chosen, choose, connect, fetch, push
    from multiblast.coupling.coupling import Coupling, FilesystemCoupling, RelayingCoupling, StoreCoupling
    from multiblast.coupling.reference import Reference, is_url

__all__ = [
    "Chosen",
    "Coupling",
    "FilesystemCoupling",
    "InputCache",
    "Reference",
    "RelayingCoupling",
    "StoreCoupling",
    "brought",
    "choose",
    "connect",
    "fetch",
    "is_url",
    "push",
]

__getattr__ = lazy_exports(__name__)
