"""Metrics for Prometheus and /healthz, on one small HTTP server in a thread."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily

from oracle.domain.errors import PortInUse
from oracle.services.serve import Health


class Gauges:
    """What is known of the service's health, read when it is asked for."""

    def __init__(self, health: Callable[[], Health]) -> None:
        self._health = health

    def collect(self) -> Iterator[GaugeMetricFamily]:
        health = self._health()
        jobs = GaugeMetricFamily("einproof_jobs", "Requests by state", labels=["role", "state"])
        for role, counts in health.jobs.items():
            for state, count in counts.items():
                jobs.add_metric([role.value, state.value], count)
        yield jobs
        yield GaugeMetricFamily("einproof_cursor_block", "Last block read", value=health.cursor)
        up = float(health.healthy)
        yield GaugeMetricFamily("einproof_healthy", "1 if no loop is stalled", value=up)


class Monitor:
    """Serves /metrics and /healthz until closed. Raises PortInUse."""

    def __init__(self, host: str, port: int, health: Callable[[], Health]) -> None:
        registry = CollectorRegistry()
        registry.register(Gauges(health))

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path == "/metrics":
                    self._answer(200, generate_latest(registry), "text/plain; version=0.0.4")
                elif self.path == "/healthz":
                    now = health()
                    body = {
                        "healthy": now.healthy,
                        "outages": now.outages,
                        "cursor": now.cursor,
                        "jobs": {
                            role.value: {state.value: count for state, count in counts.items()}
                            for role, counts in now.jobs.items()
                        },
                    }
                    status = 200 if now.healthy else 503
                    self._answer(status, json.dumps(body).encode(), "application/json")
                else:
                    self._answer(404, b"try /metrics or /healthz\n", "text/plain")

            def _answer(self, status: int, body: bytes, kind: str) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        try:
            self._server = ThreadingHTTPServer((host, port), Handler)
        except OSError as error:
            raise PortInUse(
                f"cannot listen on {host}:{port} ({error.strerror}): choose another with "
                "EINPROOF_MONITOR_PORT"
            ) from error
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
