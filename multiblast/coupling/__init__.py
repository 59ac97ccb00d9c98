"""Couplings: how files reach a step, wherever it runs and wherever they are."""

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
