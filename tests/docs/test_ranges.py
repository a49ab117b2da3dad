"""What the page on ranges shows runs as it stands there."""

import re
import warnings
from pathlib import Path

import numpy as np

PAGE = (Path(__file__).parents[2] / "docs" / "concepts" / "ranges.md").read_text()


def test_the_example_runs(capsys):
    code = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    assert len(code) == 2
    with warnings.catch_warnings():
        names = {"__name__": "__main__"}
        for part in code:
            exec(compile(part, "ranges.md", "exec"), names)
        names["fed"].close()
    ages = np.random.default_rng(1).integers(0, 100, 1000)
    assert int(capsys.readouterr().out) == (ages > 65).sum()
