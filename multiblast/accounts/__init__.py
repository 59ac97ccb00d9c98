"""Accounts: who somebody is, what they may read and change, and how much they may have."""

from multiblast.accounts.authentication import Accounts, LinkedGuest
from multiblast.accounts.fair_queue import FairQueue
from multiblast.accounts.job_rights import Access
from multiblast.accounts.requester import GUEST, Requester
from multiblast.accounts.usage import UsageLimits

__all__ = ["GUEST", "Access", "Accounts", "FairQueue", "LinkedGuest", "Requester", "UsageLimits"]
