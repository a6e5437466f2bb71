"""A task queue as a contender: its store, its workers, and a calling process."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from bench.contenders.contender import Prepared
from bench.programs import PEERS, NotStartedError, log_tail, running, running_caller
from bench.stores import RunningStore, redis_is_missing, running_redis


class Queue:
    """Runs a module of bench.peers; `setup` is run before the workers, `workers` has one command per worker."""

    def __init__(
        self,
        name: str,
        module: str,
        store: RunningStore,
        workers: Sequence[Sequence[str]],
        setup: Sequence[str] = (),
    ) -> None:
        self.name = name
        self._module = module
        self._store = store
        self._workers = workers
        self._setup = setup

    def missing(self) -> str:
        """Return the missing program: Redis, or the queues' packages."""
        if not PEERS.exists():
            return "its packages are not installed; make bench installs them into .venv-bench"
        if self._store is running_redis and redis_is_missing():
            return "redis-server is not on the path. On Debian and Ubuntu: apt-get install redis-server"
        return ""

    @asynccontextmanager
    async def prepared(self, folder: Path, graph_url: str) -> AsyncIterator[Prepared]:
        """Start the store, the workers and the calling process."""
        async with AsyncExitStack() as stack:
            store = await stack.enter_async_context(self._store(folder))
            environment = {"BENCH_GRAPH_URL": graph_url, "BENCH_STORE_URL": store.url}
            if self._setup:
                await _run(self._setup, folder / "setup.log", environment)
            workers = []
            for number, command in enumerate(self._workers):
                program = running(_in_peers_venv(command), folder / f"worker{number}.log", environment)
                workers.append(await stack.enter_async_context(program))
            caller = await stack.enter_async_context(
                running_caller([PEERS / "python", "-m", self._module], folder / "caller.log", environment)
            )
            yield Prepared(caller.campaign, [worker.pid for worker in workers], [store.pid])


async def _run(command: Sequence[str], log: Path, environment: Mapping[str, str]) -> None:
    async with running(_in_peers_venv(command), log, environment) as process:
        if await process.wait():
            raise NotStartedError(log_tail(log))


def _in_peers_venv(command: Sequence[str]) -> list[str | Path]:
    return [PEERS / command[0], *command[1:]]
