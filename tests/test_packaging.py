"""What is packed is what is meant: the wheel, the sdist, and conda's list against pyproject's."""

import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib.metadata import version
from pathlib import Path, PurePosixPath

import pytest
import yaml

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
# conda-forge's names for what PyPI calls otherwise
PYPI_NAMES = {"docker-py": "docker", "python-kubernetes": "kubernetes"}
NOT_PACKED = {"__pycache__", ".ipynb_checkpoints", ".git", ".venv", ".mypy_cache", ".ruff_cache"}


def name_and_bound(requirement):
    name, bound = re.fullmatch(r"([A-Za-z0-9_-]+)(.*)", requirement).groups()
    return PYPI_NAMES.get(name, name), bound


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--directory", folder],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    return folder


@pytest.fixture(scope="module")
def wheel_files(packed):
    (wheel,) = packed.glob("*.whl")
    return set(zipfile.ZipFile(wheel).namelist())


def files_in(folder):
    paths = (path.relative_to(ROOT).as_posix() for path in (ROOT / folder).rglob("*") if path.is_file())
    return {path for path in paths if not NOT_PACKED.intersection(path.split("/"))}


def test_conda_asks_for_the_same_packages_as_pip():
    conda = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    own = {"python", "pip"}
    asked = dict(name_and_bound(entry) for entry in conda if isinstance(entry, str))
    assert {name: bound for name, bound in asked.items() if name not in own} == dict(
        name_and_bound(entry) for entry in PROJECT["dependencies"]
    )
    assert asked["python"].startswith(PROJECT["requires-python"])


def test_the_installed_version_is_the_declared_one():
    assert version("k8scap") == PROJECT["version"]


def test_the_changelog_knows_the_version_or_what_comes():
    headings = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] in {"Unreleased", PROJECT["version"]}


def test_the_wheel_holds_every_file_of_the_package(wheel_files):
    assert files_in("k8scap") <= wheel_files


def test_the_wheel_holds_the_notebooks_and_what_they_open(wheel_files):
    notebooks = files_in("notebooks")
    assert len([name for name in notebooks if name.endswith(".ipynb")]) >= 5
    assert {f"k8scap/{name}" for name in notebooks} <= wheel_files


def test_the_wheel_holds_nothing_but_the_package(wheel_files):
    tops = {PurePosixPath(name).parts[0] for name in wheel_files}
    assert tops == {"k8scap", f"k8scap-{PROJECT['version']}.dist-info"}


def test_the_sdist_holds_the_sources_and_no_leftovers(packed):
    (sdist,) = packed.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        parts = [PurePosixPath(name).parts[1:] for name in archive.getnames()]
    assert {"scripts", "tests", "k8scap"} <= {top for top, *_ in parts}
    assert not any(NOT_PACKED.intersection(path) for path in parts)
    assert sdist.stat().st_size < 5_000_000
