"""
The Durable Functions HTTP API as a server, over task hubs that live in memory.

It shares nothing with the client: both know only the API.
"""

from exporter.emulator.clock import Clock, ManualClock, RealClock
from exporter.emulator.demo_hubs import sample_emulator
from exporter.emulator.emulator import Emulator
from exporter.emulator.faults import Fault, FaultKind
from exporter.emulator.http.app import create_app
from exporter.emulator.http.keys import Keys
from exporter.emulator.http.server import running, serve
from exporter.emulator.operations import Operation
from exporter.emulator.storage.rows import Entity, Instance, RuntimeStatus
from exporter.emulator.task_hub import Finish, Start, TaskHub
from exporter.emulator.truth import Truth, finishes_between, truth
from exporter.emulator.version import ExtensionVersion
from exporter.emulator.workload import Workload

__all__ = [
    "Clock",
    "Emulator",
    "Entity",
    "ExtensionVersion",
    "Fault",
    "FaultKind",
    "Finish",
    "Instance",
    "Keys",
    "ManualClock",
    "Operation",
    "RealClock",
    "RuntimeStatus",
    "Start",
    "TaskHub",
    "Truth",
    "Workload",
    "create_app",
    "finishes_between",
    "running",
    "sample_emulator",
    "serve",
    "truth",
]
