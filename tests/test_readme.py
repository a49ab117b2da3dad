"""What README shows runs as it stands there."""

import re
from pathlib import Path

import numpy as np

README = (Path(__file__).parent.parent / "README.md").read_text()


def test_the_ten_lines_run(capsys):
    (code,) = re.findall(r"```python\n(.*?)```", README, re.S)
    exec(compile(code, "README.md", "exec"), {"__name__": "__main__"})
    output = capsys.readouterr().out
    assert "alice learned the value float64[3]" in output
    shown = np.array(re.search(r"\[([^\]]*)\]", output)[1].split(), float)
    salary, debt = np.array([4200.0, 3100.0, 5300.0]), np.array([900.0, 2500.0, 100.0])
    np.testing.assert_allclose(shown, 1 / (1 + np.exp(2 - 4 * debt / salary)), atol=2e-3)
