"""
The Durable Functions HTTP API as a server, over task hubs that live in memory.

It shares nothing with the client: both know only the API.
"""

from emulator.clock import Clock, ManualClock, RealClock
from emulator.demo_hubs import App, sample_emulator
from emulator.emulator import Emulator
from emulator.engine.context import EntityId, OrchestrationContext, RetryOptions
from emulator.engine.entity_context import EntityContext
from emulator.engine.failures import FunctionFailed
from emulator.engine.functions import ActivityContext, Functions, Steps
from emulator.engine.pace import BUSY, Crash, Pace
from emulator.engine.workers.worker import Worker
from emulator.faults import Fault, FaultKind
from emulator.http.app import create_app
from emulator.http.keys import Keys
from emulator.http.server import running, serve
from emulator.operations import Operation
from emulator.samples.traffic import start_traffic
from emulator.storage.rows import Entity, Instance, RuntimeStatus
from emulator.task_hub import Finish, Start, TaskHub
from emulator.truth import Truth, finishes_between, truth
from emulator.version import ExtensionVersion

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
