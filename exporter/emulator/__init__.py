"""
The Durable Functions HTTP API as a server, over task hubs that live in memory.

It shares nothing with the client: both know only the API.
"""

from exporter.emulator.clock import Clock, ManualClock, RealClock
from exporter.emulator.demo_hubs import App, sample_emulator
from exporter.emulator.emulator import Emulator
from exporter.emulator.engine.context import EntityId, OrchestrationContext, RetryOptions
from exporter.emulator.engine.entities import EntityContext
from exporter.emulator.engine.failures import FunctionFailed
from exporter.emulator.engine.functions import ActivityContext, Functions, Steps
from exporter.emulator.engine.pace import BUSY, Crash, Pace
from exporter.emulator.faults import Fault, FaultKind
from exporter.emulator.http.app import create_app
from exporter.emulator.http.keys import Keys
from exporter.emulator.http.server import running, serve
from exporter.emulator.operations import Operation
from exporter.emulator.samples.traffic import start_traffic
from exporter.emulator.storage.rows import Entity, Instance, RuntimeStatus
from exporter.emulator.task_hub import Finish, Start, TaskHub
from exporter.emulator.truth import Truth, finishes_between, truth
from exporter.emulator.version import ExtensionVersion

__all__ = [
    "BUSY",
    "ActivityContext",
    "App",
    "Clock",
    "Crash",
    "Emulator",
    "Entity",
    "EntityContext",
    "EntityId",
    "ExtensionVersion",
    "Fault",
    "FaultKind",
    "Finish",
    "FunctionFailed",
    "Functions",
    "Instance",
    "Keys",
    "ManualClock",
    "Operation",
    "OrchestrationContext",
    "Pace",
    "RealClock",
    "RetryOptions",
    "RuntimeStatus",
    "Start",
    "Steps",
    "TaskHub",
    "Truth",
    "create_app",
    "finishes_between",
    "running",
    "sample_emulator",
    "serve",
    "start_traffic",
    "truth",
]
