"""A page for Prometheus to read (``/metrics``) and one for monitoring (``/health``)."""

from __future__ import annotations

import json
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector

from deployments.diagnosis import check_server
from multiblast.services import Services
from multiblast.upkeep.metrics import text_of

_KNOWN_PATHS = ("/metrics", "/health")
_TEXT = "text/plain; version=0.0.4; charset=utf-8"


class MetricsServer(ThreadingHTTPServer):
    """Serves the metrics of some services, and counts its own requests.

    Args:
        services: What is measured.
        port: Where to listen on this machine; 0 is any free port.
        prefect_api_url: Prefect's API, if its health is of interest.
    """

    daemon_threads = True

    def __init__(self, services: Services, port: int = 0, prefect_api_url: str = "") -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.services, self.prefect_api_url = services, prefect_api_url
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = Counter("http_total_requests", "Requests.", ["method", "path", "code"], registry=self.registry)
        self.durations = Histogram(
            "http_request_duration", "Seconds a request took.", ["method", "path"], registry=self.registry
        )

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server_address[1])


class _Handler(BaseHTTPRequestHandler):
    server: MetricsServer

    def do_GET(self) -> None:
        """Answer one request."""
        started = time.perf_counter()
        path = self.path.partition("?")[0]
        code, kind, body = self._answer(path)
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        shown = path if path in _KNOWN_PATHS else "other"  # a visitor must not be able to add series
        self.server.requests.labels("GET", shown, str(code)).inc()
        self.server.durations.labels("GET", shown).observe(time.perf_counter() - started)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the signature is the library's
        """Say nothing: a scrape every few seconds is no news."""

    def _answer(self, path: str) -> tuple[int, str, bytes]:
        if path == "/metrics":
            return 200, _TEXT, (text_of(self.server.registry) + self.server.services.metrics()).encode()
        if path == "/health":
            checks = self.server.services.health()
            if self.server.prefect_api_url:
                checks.append(check_server(self.server.prefect_api_url))
            code = 200 if all(check.reachable for check in checks) else 503
            return code, "application/json", json.dumps([check.to_json() for check in checks]).encode()
        return 404, "text/plain", b"here are /metrics and /health\n"
