"""Accounts: who somebody is, what they may read and change, and how much they may have."""

from multiblast.accounts.fair_queue import FairQueue
from multiblast.accounts.job_rights import Access
from multiblast.accounts.requester import GUEST, Requester
from multiblast.accounts.usage import UsageLimits
from multiblast.accounts.users_and_guests import Accounts, LinkedGuest

__all__ = ["GUEST", "Access", "Accounts", "FairQueue", "LinkedGuest", "Requester", "UsageLimits"]
