"""Commands as processes of their own: run, run under torchrun, killed again and again.

A command in one process begins as a fork of a process that has imported everything (multiprocessing's forkserver): it is as
real and as mortal as one from a shell, but imports of torch and Lightning take six seconds, more than these tests' own work.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

PRELOADED = (
    "genoformer_cli.main",
    "genoformer.training.finetune",
    "genoformer.training.pretrain",
    "genoformer.training.tracks",
    "genoformer.scoring.plan",
)
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(list(PRELOADED))


def genoformer(*arguments: object, processes: int = 1) -> list[str]:
    """The command line of `genoformer`, in one process or in several under torchrun."""
    module = ["-m", "genoformer_cli", *map(str, arguments)]
    if processes == 1:
        return [sys.executable, *module]
    return [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", *module]


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1"}


def run(command: list[str]) -> None:
    found = subprocess.run(command, capture_output=True, text=True, env=environment(), timeout=300)
    assert found.returncode == 0, found.stderr[-3000:]


def in_forks(read: Callable[..., object], arguments: Sequence[tuple[object, ...]]) -> list[object]:
    """`read(*a)` for each of the arguments in a fork of its own, from a process that has read with them before.

    That process is a fresh one: a fork of this one, in which other tests have left threads, may wait for ever.
    """
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    parent = context.Process(target=_fork_each, args=(read, arguments, there))
    parent.start()
    there.close()
    try:
        return here.recv()  # type: ignore[no-any-return]
    finally:
        parent.join(60)
        here.close()


def _fork_each(read: Callable[..., object], arguments: Sequence[tuple[object, ...]], result: Connection) -> None:
    for one in arguments:
        read(*one)
    context = multiprocessing.get_context("fork")
    workers = []
    for one in arguments:
        here, there = context.Pipe(duplex=False)
        worker = context.Process(target=_send, args=(read, one, there))
        worker.start()
        there.close()
        workers.append((worker, here))
    result.send([pipe.recv() for _, pipe in workers])
    for worker, _ in workers:
        worker.join()


def _send(read: Callable[..., object], one: tuple[object, ...], pipe: Connection) -> None:
    pipe.send(read(*one))
    pipe.close()


def started(
    main: Callable[[Sequence[str]], None], arguments: Sequence[object], said: Path, out: Path | None = None, **variables: str
) -> BaseProcess:
    """`main(arguments)` in a process of its own, whose stdout and stderr go to the file `said`, or stdout to `out`.

    variables: what its environment has beside that of this process.
    """
    with pytest.MonkeyPatch.context() as patch:  # of the server, which starts with the first of them
        patch.setenv("OMP_NUM_THREADS", "1")
        child = FORKS.Process(target=_child, args=(main, [str(a) for a in arguments], said, out, variables))
        child.start()
    return child


def _child(
    main: Callable[[Sequence[str]], None], arguments: list[str], said: Path, out: Path | None, variables: dict[str, str]
) -> None:
    sys.stdout.flush()
    with said.open("wb") as errors:
        os.dup2(errors.fileno(), 1)
        os.dup2(errors.fileno(), 2)
    if out is not None:
        with out.open("wb") as output:
            os.dup2(output.fileno(), 1)
    os.environ.update(variables)
    sys.argv = ["genoformer", *arguments]
    main(arguments)


def run_together(arguments: Sequence[object], folder: Path, *, processes: int) -> None:
    """A command in several processes that have the variables of torchrun; what they say is in files of `folder`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": str(processes),
        "LOCAL_WORLD_SIZE": str(processes),
        "GROUP_RANK": "0",
        "TORCHELASTIC_RUN_ID": "test",
    }
    children = []
    for i in range(processes):
        said = folder / f"said-{i}"
        children.append((started(command, arguments, said, **shared, RANK=str(i), LOCAL_RANK=str(i)), said))
    for child, said in children:
        finished(child, said)


def command(arguments: Sequence[str]) -> None:
    from genoformer_cli.main import main

    main(arguments)


def command_and_exit(arguments: Sequence[str]) -> None:
    """The command, and no more: at its own end multiprocessing closes the queue from which TensorBoard's thread still reads."""
    try:
        command(arguments)
    except SystemExit as stop:
        sys.stderr.flush()
        os._exit(stop.code if isinstance(stop.code, int) else 1)


def finished(child: BaseProcess, said: Path) -> None:
    child.join(300)
    assert child.exitcode == 0, (child.exitcode, said.read_text()[-3000:])


def run_here(arguments: Sequence[object], said: Path) -> None:
    """A command of genoformer from its beginning to its end."""
    finished(started(command, arguments, said), said)


def killed(arguments: Sequence[object], state: Path, last: Path, said: Path, *, times: int = 3, seed: int = 5) -> int:
    """Start a command and kill -9 it at a random moment after it has saved `state`, again and again; then let it end.

    last: a file that only a finished run has. Returns how often it was killed before it had ended by itself.
    """
    moments, kills = random.Random(seed), 0
    for _ in range(times):
        before = state.stat().st_mtime_ns if state.is_file() else 0
        child = started(command, arguments, said)
        while child.is_alive() and (not state.is_file() or state.stat().st_mtime_ns == before):
            time.sleep(0.01)
        time.sleep(moments.random() * 0.2)
        kills += child.is_alive()
        child.kill()
        child.join()
    if not last.exists():
        run_here(arguments, said)
    return kills


@contextmanager
def no_file_larger_than(n_bytes: int) -> Iterator[None]:
    """A write beyond n_bytes fails, as on a full disk or with a quota."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


CLIENT = """#!{python} -SE
import json, os, socket, sys

request = json.dumps([sys.argv, os.getcwd(), dict(os.environ)]).encode()
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    socket.send_fds(server, [len(request).to_bytes(4)], [0, 1, 2])
    server.sendall(request)
    sys.exit(int(server.recv(8) or b"1"))
"""


@contextmanager
def quick_command() -> Iterator[Path]:
    """Yield a folder for PATH with a `genoformer` that is a fork of one process that has imported everything.

    Its arguments, folder, environment, standard streams and exit status are those of the shell that starts it.
    """
    with tempfile.TemporaryDirectory() as name:
        folder, address = Path(name), f"{name}/socket"
        here = str(Path(__file__).parent)
        program = f"import sys; sys.path.insert(0, {here!r}); from processes import serve; serve({address!r})"
        script = folder / "genoformer"
        script.write_text(CLIENT.format(python=sys.executable, address=address))
        script.chmod(0o755)
        server = subprocess.Popen(
            [sys.executable, "-c", program], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=environment()
        )
        assert server.stdout is not None
        try:
            assert server.stdout.readline() == b"ready\n"
            yield folder
        finally:
            server.kill()
            server.wait()
            server.stdout.close()


def serve(address: str) -> None:
    """Answer the scripts of `quick_command`, one fork for each."""
    for name in PRELOADED:
        import_module(name)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(address)
        server.listen()
        print("ready", flush=True)  # noqa: T201
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no zombies
        while True:
            client, _ = server.accept()
            with client:
                if not os.fork():
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    _answer(client)


def _answer(client: socket.socket) -> None:
    n_bytes, streams, *_ = socket.recv_fds(client, 4, 3)
    with client.makefile("rb") as file:
        sys.argv, folder, variables = json.loads(file.read(int.from_bytes(n_bytes)))
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(variables)
    status: object = 1
    try:
        command(sys.argv[1:])
    except SystemExit as stop:
        status = stop.code or 0
    except BaseException:
        traceback.print_exc()
    for file in (sys.stdout, sys.stderr):
        file.flush()
    status = status if isinstance(status, int) else 1
    client.sendall(str(status).encode())
    os._exit(status)


def read_terminal(leader: int) -> bytes:
    """Read what is written to a pseudo-terminal until its other end is closed, and close it."""
    text = b""
    while True:
        try:
            block = os.read(leader, 1 << 16)
        except OSError:  # the other end is closed
            break
        if not block:
            break
        text += block
    os.close(leader)
    return text
