"""Executes analysis/reading.ipynb on a result file and checks the outputs that a reader sees.

Called by tests/notebook.rs: notebook.py NOTEBOOK RESULT. The committed notebook has no outputs.
"""

import os
import re
import sys

import h5py
import nbclient
import nbformat


def main(path, result):
    os.environ["RESULT"] = result
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not any(cell.outputs for cell in code), "the committed notebook has outputs"
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    told = ["".join(str(output.get("text") or output["data"]) for output in cell.outputs) for cell in code]
    with h5py.File(result) as file:
        strategies = [name.decode() for name in file["cells"]["strategy"]]
        estimates = list(file["ratios"]["estimate"])
    assert all(name in told[0] for name in strategies), told[0]
    assert any("image/png" in output.get("data", {}) for output in code[2].outputs), "no picture"
    assert "fastest" in told[-1] or "undecided" in told[-1] or "not established" in told[-1], told[-1]
    # Both columns have six digits.
    plain = code[4].outputs[0]["data"]["text/plain"]
    numbers = [[float(number) for number in re.findall(r"\d+\.\d+", line)] for line in plain.splitlines()[1:]]
    assert len(numbers) == len(estimates) > 0, plain
    for (says, calculated), estimate in zip(numbers, estimates):
        assert abs(says - estimate) < 1e-5 and abs(calculated - estimate) < 1e-5, plain


main(*sys.argv[1:])
