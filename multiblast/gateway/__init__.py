"""The gateway: machines elsewhere fetch and push the files of their own job, and no others."""

from typing import TYPE_CHECKING

from multiblast.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from multiblast.gateway.gateway import Gateway, SweptGateway, UnknownGrantError, Visit
    from multiblast.gateway.grants import Grant, GrantKeys
    from multiblast.gateway.metrics import GatewayMetrics
    from multiblast.gateway.sites import Sites
    from multiblast.gateway.tickets import Tickets, grant_of
    from multiblast.gateway.uploads import BrokenPieceError, BusyError, NoSpaceError, Upload, Uploads

__all__ = [
    "BrokenPieceError",
    "BusyError",
    "Gateway",
    "GatewayMetrics",
    "Grant",
    "GrantKeys",
    "NoSpaceError",
    "Sites",
    "SweptGateway",
    "Tickets",
    "UnknownGrantError",
    "Upload",
    "Uploads",
    "Visit",
    "grant_of",
]

__getattr__ = lazy_exports(__name__)
