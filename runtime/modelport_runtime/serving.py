"""Puts the pieces together: the management thread first, then the application in the main thread, by uvicorn.

The main thread is the application's, because model libraries, signal handlers and uvicorn expect that. Must never
outlive the application: when it ends, whatever the cause, the process ends.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn

import uvicorn

from modelport_runtime.counting import Counting
from modelport_runtime.explaining import leave_behind, one_line
from modelport_runtime.loading import AppError, Stopped, load
from modelport_runtime.management import Management, ManagementThread
from modelport_runtime.proving import Served
from modelport_runtime.settings import Settings

# A client's pool should close idle connections before we do: a request that meets a closing connection is lost.
KEEP_ALIVE = 75


@dataclass(frozen=True)
class Place:
    """Where things are: the application's name and folder, and the addresses."""

    target: str
    folder: Path
    host: str
    port: int
    management_port: int


class _Server(uvicorn.Server):
    """uvicorn, telling the management thread when the application started and when it is asked to end."""

    def __init__(self, config: uvicorn.Config, counting: Counting, management: Management, thread: ManagementThread):
        super().__init__(config)
        self._counting = counting
        self._management = management
        self._thread = thread

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started:
            self._thread.application_started(Served(self._counting, asyncio.get_running_loop()))

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        draining = self._management.draining
        draining.end()
        self.config.timeout_graceful_shutdown = max(1, round(draining.left()))
        await super().shutdown(sockets=sockets)


def serve(place: Place, settings: Settings) -> int:
    """Returns the exit status of the process."""
    signal.signal(signal.SIGTERM, _stop_now)
    management = Management(settings, place.folder)
    try:
        listening = socket.create_server((place.host, place.management_port))
    except OSError as error:
        leave_behind(f"app: PORT: cannot listen on {place.host}:{place.management_port}: {error.strerror}")
        return 1
    thread = ManagementThread(management, listening)
    thread.start()
    try:
        return _serve_application(place, settings, management, thread)
    finally:
        thread.stop()


def _serve_application(place: Place, settings: Settings, management: Management, thread: ManagementThread) -> int:
    os.chdir(place.folder)  # where `uvicorn app:app` is typed: files beside the application are found
    try:
        app = load(place.target, place.folder)
    except AppError as error:
        traceback.print_exception(error.__cause__ or error)
        leave_behind(f"app: IMPORT: {error}")
        return 1
    counting = Counting(app, management.metrics, management.draining, settings)
    config = uvicorn.Config(counting, host=place.host, port=place.port, timeout_keep_alive=KEEP_ALIVE)
    try:
        _Server(config, counting, management, thread).run()
    except (Stopped, KeyboardInterrupt):  # uvicorn raises the signal again once it has shut down in good order
        return 0
    except SystemExit:
        if counting.startup_error is not None:
            leave_behind(f"app: STARTUP: {one_line(counting.startup_error, place.folder)}")
        else:
            leave_behind(f"app: STARTUP: the application did not start on {place.host}:{place.port}; its log says why")
        return 1
    return 0


def _stop_now(signum: int, frame: FrameType | None) -> NoReturn:
    raise Stopped(128 + signum)
