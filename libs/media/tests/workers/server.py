"""A server that a test kills: one `keeper` job, then nothing. `server.py PATH [OPTION=…]`."""

import asyncio
import os
import sys

from roomful_media.job import JobSpec
from roomful_media.supervisor import WorkerSupervisor
from roomful_media.worker_run import WorkerSetting


async def serve(path: str, options: dict[str, str]) -> None:
    environment = {"PYTHONPATH": os.environ["PYTHONPATH"]}
    async with WorkerSupervisor(WorkerSetting(environment=environment)) as supervisor:
        await supervisor.start(JobSpec("keeper", "JB_1", {"path": path, **options}))
        await asyncio.Event().wait()


asyncio.run(serve(sys.argv[1], dict(option.split("=") for option in sys.argv[2:])))
