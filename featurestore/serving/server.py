"""The gRPC server: one port with the feature service, health and reflection, from start to a drained stop."""

from __future__ import annotations

import errno
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2

from featurestore.core.clock import Clock, system_clock
from featurestore.core.config import ProjectConfig
from featurestore.core.errors import StoreError
from featurestore.serving.service import FeatureService
from featurestore.serving.state import ServingState
from featurestore.wire import serving as wire

LARGEST_MESSAGE = 64 * 2**20
"""Bytes of the largest request taken and response given."""

_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Server:
    """A project's server, not yet listening.

    Raises:
        NotMaterializedError: the project has no catalog yet.
        CorruptDataError: its catalog cannot be read.
    """

    def __init__(
        self, config: ProjectConfig, host: str = "127.0.0.1", port: int = 6566, *, clock: Clock = system_clock, threads: int = 8
    ) -> None:
        self._host, self._port = host, port
        service = FeatureService(ServingState(config, clock))
        self._health = _Health()
        self._health.set(wire.SERVICE, health_pb2.HealthCheckResponse.SERVING)
        self._server = grpc.server(
            ThreadPoolExecutor(threads, thread_name_prefix="lookup"),
            options=[
                ("grpc.so_reuseport", 0),  # or a second server would share the port, and each would get some of the calls
                ("grpc.max_receive_message_length", LARGEST_MESSAGE),
                ("grpc.max_send_message_length", LARGEST_MESSAGE),
            ],
        )
        self._server.add_generic_rpc_handlers((service.handler(),))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        for described in (health_pb2.DESCRIPTOR, reflection_pb2.DESCRIPTOR):
            wire.POOL.AddSerializedFile(described.serialized_pb)
        names = (wire.SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, self._server, pool=wire.POOL)

    def start(self) -> str:
        """Listen, and return the address as `host:port`; port 0 has become a free one.

        Raises:
            StoreError: the port is in use or not allowed, or the host is not an address of this machine.
        """
        host = f"[{self._host}]" if ":" in self._host else self._host
        try:
            port = self._server.add_insecure_port(f"{host}:{self._port}")
        except RuntimeError as error:
            raise _why_not(self._host, self._port) from error
        self._server.start()
        return f"{host}:{port}"

    def stop(self, grace_seconds: float) -> None:
        """Report NOT_SERVING, refuse new calls, and return when those in flight are answered or the grace is over."""
        self._health.leave()
        self._server.stop(grace_seconds).wait()


class _Health(health.HealthServicer):  # type: ignore[misc]  # the package has no types
    """Health whose watchers are let go at the end: an open watch is a call in flight, and would use up the grace."""

    def __init__(self) -> None:
        super().__init__()
        self._watchers: set[Callable[[Any], None]] = set()
        self._watching = threading.Lock()

    def Watch(self, request: Any, context: Any, send_response_callback: Any = None) -> Any:
        with self._watching:
            self._watchers.add(send_response_callback)
        context.add_callback(lambda: self._forget(send_response_callback))
        return super().Watch(request, context, send_response_callback)

    def leave(self) -> None:
        """Tell every watcher NOT_SERVING, then end its call."""
        self.enter_graceful_shutdown()
        with self._watching:
            watchers = list(self._watchers)
        for send in watchers:
            send(None)

    def _forget(self, send_response_callback: Callable[[Any], None]) -> None:
        with self._watching:
            self._watchers.discard(send_response_callback)


def _why_not(host: str, port: int) -> StoreError:
    """The reason for which a port could not be bound. gRPC does not tell, so the operating system is asked once more."""
    try:
        for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            with socket.socket(family, kind, protocol) as probe:
                probe.bind(address)
    except socket.gaierror:
        return StoreError(f"{host!r} is not a host name or address", "give one of this machine's with --host")
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return StoreError(f"port {port} is in use", "choose another with --port")
        if error.errno == errno.EACCES:
            return StoreError(f"this user may not listen on port {port}", "choose one above 1023 with --port")
        return StoreError(f"cannot listen on {host}:{port}: {error.strerror}", "choose another with --host and --port")
    return StoreError(f"port {port} was in use a moment ago", "run again, or choose another with --port")


def serve(
    config: ProjectConfig,
    host: str,
    port: int,
    *,
    clock: Clock = system_clock,
    announce: Callable[[str], None],
    grace_seconds: float = 20.0,
) -> None:
    """Serve until SIGTERM or SIGINT, then finish what is in flight and return. Runs in the main thread.

    `announce` gets the address (`host:port`) once, when calls are answered. A second signal ends the process at once.

    Raises:
        NotMaterializedError, CorruptDataError, StoreError: as `Server` and its `start`.
    """
    server = Server(config, host, port, clock=clock)
    address = server.start()
    try:
        with _stop_signal() as wait:
            announce(address)
            wait()
    finally:
        server.stop(grace_seconds)


@contextmanager
def _stop_signal() -> Iterator[Callable[[], None]]:
    """Hold SIGTERM and SIGINT for the block; the function it gives waits for one. After the block they act as before.

    The kernel may hand a signal to any of gRPC's threads, and Python's handler would then wait for the main thread to wake up by
    itself. So the main thread sleeps in a read of a pipe, into which Python writes each signal's number as it comes.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    wakeup = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    handlers = {number: signal.signal(number, lambda *_: None) for number in _STOP_SIGNALS}

    def wait() -> None:
        while os.read(reader, 1)[0] not in _STOP_SIGNALS:
            pass

    try:
        yield wait
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(wakeup)
        os.close(writer)
        os.close(reader)
