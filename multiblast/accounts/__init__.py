"""Accounts: who asks, what they may read and change, and how much they may have."""

from multiblast.accounts.access import Access
from multiblast.accounts.accounts import Accounts, LinkedGuest
from multiblast.accounts.requester import GUEST, Requester
from multiblast.accounts.turns import Turns
from multiblast.accounts.usage import UsageLimits

__all__ = ["GUEST", "Access", "Accounts", "LinkedGuest", "Requester", "Turns", "UsageLimits"]
