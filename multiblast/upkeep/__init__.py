"""Upkeep: what expires, what is swept, what is verified, and how the whole is doing."""

from typing import TYPE_CHECKING

from multiblast.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from multiblast.upkeep.expiry import Expired, Expiry
    from multiblast.upkeep.notices import Notices, SentNotices
    from multiblast.upkeep.storage import CleanedUp, Missing, StorageUpkeep, Swept
    from multiblast.upkeep.webhooks import Webhooks

__all__ = ["CleanedUp", "Expired", "Expiry", "Missing", "Notices", "SentNotices", "StorageUpkeep", "Swept", "Webhooks"]

__getattr__ = lazy_exports(__name__)
