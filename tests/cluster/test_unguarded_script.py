"""A script that starts worker processes as soon as it is run, and so in each of them again."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import sys
import dasklasso
dasklasso.Lasso(alpha=0.1, workers=1).fit(sys.argv[1])
"""


def test_an_unguarded_script_is_told_what_it_lacks(make_store, regression, tmp_path):
    data, script = make_store(*regression(40, 3)), tmp_path / "script.py"
    script.write_text(SCRIPT)
    command = [sys.executable, str(script), data.location]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("dasklasso.errors.ClusterError: workers: 1 process(es) could not be")
    assert last.endswith("what it does must be under if __name__ == '__main__'.")
