"""What tshark and the packets table answer to display filters: hundreds of filters in one run of tshark.

A listener of tshark's Lua compiles its filter and is told the frames that pass, just as `-Y` does.
"""

import os
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from k8scap.parser.where import compile_filter
from k8scap.schema import REFERENCE_PREFERENCES

_LISTENERS = """
local number = 0
for line in io.lines(os.getenv("FILTERS")) do
  number = number + 1
  local mine = number
  local compiled, listener = pcall(Listener.new, "frame", line)
  print(mine .. (compiled and " compiled" or " refused"))
  if compiled then
    listener.packet = function(packet) print(mine .. " " .. packet.number) end
  end
end
"""


def tshark_answers(path, filters, *, timeout=300):
    """{filter: the numbers of the frames that pass, or None where tshark refuses the filter}."""
    with tempfile.TemporaryDirectory() as folder:
        script, listed = Path(folder) / "listeners.lua", Path(folder) / "filters"
        script.write_text(_LISTENERS)
        listed.write_text("\n".join(filters) + "\n")
        preferences = [
            word for key, value in REFERENCE_PREFERENCES.items() for word in ("-o", f"{key}:{value}")
        ]
        done = subprocess.run(
            ["tshark", "-n", "-q", "-X", f"lua_script:{script}", *preferences, "-r", str(path)],
            env={**os.environ, "FILTERS": str(listed), "WIRESHARK_CONFIG_DIR": folder, "TZ": "UTC"},
            capture_output=True, text=True, errors="replace", check=False, timeout=timeout,
        )  # fmt: skip
    passed = {}
    for line in done.stdout.splitlines():
        number, _, word = line.partition(" ")
        if word in ("compiled", "refused"):
            passed[int(number)] = set() if word == "compiled" else None
        elif number.isdigit() and word.isdigit():
            passed[int(number)].add(int(word))
    assert len(passed) == len(filters), done.stderr
    return {text: passed[number] for number, text in enumerate(filters, start=1)}


def contradictions(path, table, filters):
    """{filter: the frames on which the two differ}, once tshark has settled those that are unsure.

    It is asked about them as users of `Judgement` do: those frames alone, where that is said to be enough.
    """
    answers = tshark_answers(path, filters)
    judged = {text: judge(table, text) for text in filters}
    alone = _asked_alone(path, judged)
    found = {}
    for text, passed in answers.items():
        if judged[text] is None:
            continue
        mask, unsure, _ = judged[text]
        if passed is None:
            found[text] = "tshark refuses it"
        elif wrong := (mask | alone.get(text, passed & unsure)) ^ passed:
            found[text] = sorted(wrong)
    return found


def judge(table, text):
    """(Frames that pass, frames that are unsure, whether those can be asked alone); None: ask tshark."""
    where = compile_filter(text)
    if where is None:
        return None
    judgement = where.judge(table[[name for name in where.columns if name != "number"]])
    numbers = table.index.to_numpy()
    assert judgement.mask.dtype == judgement.unsure.dtype == np.bool_
    assert not (judgement.mask & judgement.unsure).any()
    return set(numbers[judgement.mask].tolist()), set(numbers[judgement.unsure].tolist()), judgement.alone


def _asked_alone(path, judged):
    """{filter: those of its unsure frames that pass in a capture without the sure ones}.

    One capture serves all filters: such frames' answers depend on no other frame.
    """
    asked = {text: judgement[1] for text, judgement in judged.items() if judgement and judgement[2]}
    frames = sorted(set().union(*asked.values()))
    if not frames:
        return {}
    with tempfile.TemporaryDirectory() as folder:
        few = Path(folder) / "few.pcapng"
        subprocess.run(["editcap", "-r", path, few, *_runs(frames)], capture_output=True, check=True)
        answers = tshark_answers(few, list(asked))
    return {text: {frames[n - 1] for n in answers[text] or ()} & unsure for text, unsure in asked.items()}


def _runs(numbers):
    """1, 2, 3, 7 → "1-3", "7-7": editcap takes 512 of them."""
    runs = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    assert len(runs) <= 512, "too many frames here and there for editcap"
    return [f"{first}-{last}" for first, last in runs]
