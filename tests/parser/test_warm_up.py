"""Compiling the packet engine, as who waits for it sees it."""

import os
import signal
import subprocess
import sys
import time

from reference import VERDICTS

LOAD = f"""
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's background jobs ignore
import k8scap
print(len(k8scap.load({str(VERDICTS)!r}).packets))
"""


def test_an_interrupt_ends_compiling(tmp_path):
    """Ctrl-C, and not half a minute later, when all that was to be compiled has been."""
    process = subprocess.Popen(
        [sys.executable, "-c", LOAD], env={**os.environ, "XDG_CACHE_HOME": str(tmp_path)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert "compiling" in process.stderr.readline()
    while not kernels(tmp_path) and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=240)
    assert process.returncode == -signal.SIGINT
    assert (out, "KeyboardInterrupt" in err) == ("", True)
    assert not [name for name in kernels(tmp_path) if "decode" in name or "follow" in name]


def kernels(folder):
    """What has been compiled so far: reading records comes first, then decoding and following them."""
    files = [path.name for path in folder.rglob("*") if path.is_file()]
    return [name for name in files if "walk_pcap" in name or "decode" in name or "follow" in name]
