"""Workflows that survive anything: a client for a Dougong server, and workers for its steps."""
from .client import Client, RunFailed
from .transport import DougongError
from .worker import StepContext, StepError, Worker

__all__ = ["Client", "DougongError", "RunFailed", "StepContext", "StepError", "Worker"]
