"""A supervisor whose workers know the jobs of `trial_jobs`, as if those were installed."""

from __future__ import annotations

import ast
import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from roomful_media.job import JobSpec
from roomful_media.supervisor import WorkerSupervisor
from roomful_media.worker_run import WorkerSetting

JOBS = Path(__file__).with_name("jobs")


def entry_points() -> str:
    """Every class of the module by its name in lower case, and what is wrong on purpose."""
    tree = ast.parse((JOBS / "trial_jobs.py").read_text())
    names = [
        node.name
        for node in tree.body
        if isinstance(node, ast.ClassDef)
        and any(isinstance(n, ast.AsyncFunctionDef) for n in node.body)
    ]
    rows = [f"{name.lower()} = trial_jobs:{name}" for name in names]
    # kinds that have rows of their own in the restart table
    rows.append("recorder = trial_jobs:Crasher")
    rows += ["audio_bridge = trial_jobs:Crasher"]
    rows += ["no_class = trial_jobs:NO_CLASS", "not_there = trial_jobs:Nothing"]
    rows += ["no_module = trial_no_jobs:Nothing"]
    return "[roomful.jobs]\n" + "\n".join(rows) + "\n"


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """What workers get: a path on which a distribution offers the trial jobs."""
    site = tmp_path_factory.mktemp("site")
    info = site / "roomful_trial_jobs-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: roomful-trial-jobs\nVersion: 0.1\n"
    )
    (info / "entry_points.txt").write_text(entry_points())
    temporary = tmp_path_factory.mktemp("temporary")
    return {
        "TMPDIR": str(temporary),
        "PYTHONPATH": f"{site}{os.pathsep}{JOBS}",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


@pytest.fixture
async def supervisor(environment: Mapping[str, str]) -> AsyncIterator[WorkerSupervisor]:
    async with WorkerSupervisor(WorkerSetting(environment=environment)) as made:
        yield made
        for job in made.jobs:  # what a test left is not worth its time
            job.ask_to_stop(0.0, "the test is over")


@pytest.fixture
def spec() -> Callable[..., JobSpec]:
    """`spec("idle", how=…)`: a job of this kind; `_name=…` are fields of the spec itself."""
    numbers = iter(range(1, 1000))

    def make(kind: str, **given: Any) -> JobSpec:
        own = {name[1:]: value for name, value in given.items() if name.startswith("_")}
        inner = {name: value for name, value in given.items() if not name.startswith("_")}
        return JobSpec(kind=kind, job_id=f"JB_{next(numbers)}", spec=inner, **{"nice": 0, **own})

    return make


async def until(condition: Callable[[], object], patience_s: float = 10.0) -> None:
    """Wait for something that tells nobody when it happens."""
    async with asyncio.timeout(patience_s):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.fixture(name="until")
def _until() -> Callable[..., Any]:
    return until
