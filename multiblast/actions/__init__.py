"""The actions on query and report jobs: flows, scripts and the command line all call these."""

from typing import TYPE_CHECKING

from multiblast.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from multiblast.actions.answers import error_answer
    from multiblast.actions.queries import Queries
    from multiblast.actions.reports import Reports

__all__ = ["Queries", "Reports", "error_answer"]

__getattr__ = lazy_exports(__name__)
