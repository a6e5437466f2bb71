"""The wheel `redrive`, which callers install."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

CLIENTS = Path(__file__).parents[2] / "clients"


def test_the_wheel_has_types_and_stubs_and_nothing_else(tmp_path: Path) -> None:
    source = tmp_path / "clients"
    shutil.copytree(CLIENTS, source, ignore=shutil.ignore_patterns("__pycache__", "build", "*.egg-info"))
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*build, "--wheel-dir", tmp_path, source], check=True)

    (wheel,) = tmp_path.glob("redrive-*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())

    modules = {path.relative_to(source).as_posix() for path in (source / "redrive").rglob("*.py*")}
    assert modules <= names
    assert {"redrive/py.typed", "redrive/v1/delivery_service_pb2.pyi", "redrive/v1/page_service_pb2_grpc.pyi"} <= names
    assert {name.split("/")[0].split("-")[0] for name in names} == {"redrive"}
