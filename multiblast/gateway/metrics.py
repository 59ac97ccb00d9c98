"""Metrics of the gateway, as Prometheus reads them."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram

from multiblast.database import Transfer


class GatewayMetrics:
    """Counts what travels."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.bytes = Counter("gateway_bytes", "Bytes that travelled.", ["verb", "outcome"], registry=self.registry)
        self.seconds = Histogram("gateway_seconds", "Seconds a transfer took.", ["verb"], registry=self.registry)
        self.refused = Counter("gateway_refused", "Requests that were refused.", ["verb"], registry=self.registry)

    def count(self, transfer: Transfer) -> None:
        """Count one request."""
        self.bytes.labels(transfer.verb, transfer.outcome).inc(transfer.size)
        self.seconds.labels(transfer.verb).observe(transfer.seconds)
        if transfer.outcome == "refused":
            self.refused.labels(transfer.verb).inc()
