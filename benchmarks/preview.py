"""No-op `pulumi preview` of the local stack against a bare Pulumi program with one dynamic resource.

Both run in turn, in this process's environment, against stacks that are up; the figure is the ratio of the
medians. usage: scripts/bench benchmarks/preview.py [ROUNDS]
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

from tests.fix_program import Program, environment, open_program, open_stack

BARE = '''
"""A program with one resource."""
from bare import Thing
Thing("thing")
'''
MODULE = '''
"""The resource of the bare program."""
from pulumi.dynamic import CreateResult, DiffResult, Resource, ResourceProvider

class Provider(ResourceProvider):
    """Does nothing."""
    serialize_as_secret_always = False
    def create(self, props):
        return CreateResult("thing", props)
    def diff(self, _id, olds, news):
        return DiffResult(changes=False)

class Thing(Resource, module="bare", name="Thing"):
    """One resource."""
    def __init__(self, name):
        super().__init__(Provider(), name, {"a": 1})
'''


def bare(folder: Path) -> Program:
    """Make the program to compare with, and bring it up."""
    folder.mkdir()
    (folder / "Pulumi.yaml").write_text("name: bare\nruntime: python\n")
    (folder / "__main__.py").write_text(BARE)
    (folder / "bare.py").write_text(MODULE)
    env = environment(folder, f"file://{folder}/.local")
    return Program(folder, open_stack(folder, "local", env), env)


def timed(program: Program) -> float:
    """Time one preview, in seconds."""
    start = time.perf_counter()
    program.stack.preview()
    return time.perf_counter() - start


def main(rounds: int) -> None:
    """Run both in turn and print the ratio."""
    home = Path(tempfile.mkdtemp(prefix="gw-bench-"))
    ours, other = open_program(home / "ours"), bare(home / "bare")
    try:
        ours.up()
        other.up()
        pairs = [(timed(ours), timed(other)) for _ in range(rounds)]
    finally:
        ours.clean()
        other.clean()
    mine, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(f"local stack  {mine:6.2f} s   median of {rounds}")
    print(f"bare program {theirs:6.2f} s   median of {rounds}")
    print(f"ratio        {mine / theirs:6.2f}     aim: at most 2")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
