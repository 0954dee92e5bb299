"""
The Durable Functions HTTP API as a server, over task hubs that live in memory.

It shares no code with the exporter's client.
"""

from emulator.api import ExtensionVersion, Operation
from emulator.apps import App, sample_emulator
from emulator.clock import Clock, ManualClock, RealClock
from emulator.emulator import Emulator, Keys
from emulator.engine.context import EntityId, OrchestrationContext, RetryOptions
from emulator.engine.failures import FunctionFailed
from emulator.engine.functions import ActivityContext, EntityContext, Functions, Steps
from emulator.engine.pace import BUSY, Crash, Pace
from emulator.engine.workers import Worker
from emulator.faults import Fault, FaultKind
from emulator.http.app import create_app
from emulator.http.server import running, serve
from emulator.samples.shop_traffic import start_traffic
from emulator.storage.rows import Entity, Instance, RuntimeStatus
from emulator.task_hub import Finish, Start, TaskHub, Truth, finishes_between, truth

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
    "Worker",
    "create_app",
    "finishes_between",
    "running",
    "sample_emulator",
    "serve",
    "start_traffic",
    "truth",
]
