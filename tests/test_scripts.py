"""The scripts on machines that lack something: one sentence that says what, and nothing touched."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# What Debian calls essential, as far as the scripts use it.
ESSENTIAL = (
    "basename",
    "cat",
    "cksum",
    "date",
    "dirname",
    "env",
    "find",
    "ls",
    "mkdir",
    "mktemp",
    "rm",
    "sed",
    "tail",
)
OLD_PYTHON = """#!/bin/sh
case $2 in *version_info*) exit 1 ;; *) echo 3.9.2 ;; esac
"""
DEMO_TOOLS = ("tshark", "tcpdump", "nsenter", "ip")
ORDINARY_USER = "#!/bin/sh\necho 1000\n"


@pytest.fixture
def machine(tmp_path):
    """A checkout with a space in its path, and a folder that is all of PATH."""
    checkout = tmp_path / "check out"
    shutil.copytree(ROOT / "scripts", checkout / "scripts")
    shutil.copy(ROOT / "pyproject.toml", checkout)
    made = Machine(checkout, tmp_path / "bin")
    for name in ESSENTIAL:
        (made.tools / name).symlink_to(shutil.which(name))
    made.install("python3", f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    return made


class Machine:
    def __init__(self, checkout, tools):
        self.checkout = checkout
        self.tools = tools
        tools.mkdir()

    def install(self, name, text="#!/bin/sh\n"):
        path = self.tools / name
        path.write_text(text)
        path.chmod(0o755)

    def run(self, script, **environment):
        return subprocess.run(
            ["/bin/sh", f"scripts/{script}"],
            cwd=self.checkout,
            env={"PATH": str(self.tools), "TMPDIR": str(self.tools.parent), **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


def only_sentence(done):
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    return line


@pytest.mark.parametrize("script", ["demo", "test"])
def test_an_old_python_is_named_with_what_to_install(machine, script):
    machine.install("python3", OLD_PYTHON)
    said = only_sentence(machine.run(script))
    assert said.startswith(f"scripts/{script}: k8scap needs Python 3.11 or newer (3.9.2 is here): install it")


def test_no_python_is_said(machine):
    (machine.tools / "python3").unlink()
    assert "k8scap needs Python 3.11 or newer (there is none here)" in only_sentence(machine.run("demo"))


def test_without_apt_get_the_packages_are_named(machine):
    said = only_sentence(machine.run("demo"))
    assert "this needs what Debian calls tshark tcpdump" in said
    assert "there is no apt-get here" in said


def test_an_ordinary_user_without_sudo_is_told_the_command(machine):
    machine.install("id", ORDINARY_USER)
    machine.install("apt-get", '#!/bin/sh\necho called >"$TMPDIR/called"\n')
    machine.install("tshark")
    said = only_sentence(machine.run("demo"))
    assert "have somebody run 'apt-get install --no-install-recommends tcpdump " in said
    assert not (machine.tools.parent / "called").exists()


def test_what_apt_get_complained_of_is_shown(machine):
    machine.install("id", "#!/bin/sh\necho 0\n")
    machine.install("dpkg")
    machine.install("apt-get", "#!/bin/sh\necho 'E: No space left on device' >&2\nexit 100\n")
    done = machine.run("demo")
    assert done.returncode == 1
    assert "E: No space left on device" in done.stderr
    assert "apt-get update failed; tshark tcpdump" in done.stderr.splitlines()[-1]


def test_a_folder_that_is_no_virtual_environment_is_left_alone(machine):
    for tool in DEMO_TOOLS:
        machine.install(tool)
    precious = machine.checkout / "photos" / "cat.jpg"
    precious.parent.mkdir()
    precious.write_text("meow")
    said = only_sentence(machine.run("demo", K8SCAP_VENV=str(precious.parent)))
    assert "is not a virtual environment that works: move it away" in said
    assert precious.read_text() == "meow"
