"""Reads a result file: its tables with names as categories, unknown numbers as missing, and units in `attrs`."""

import json
import os
import re
import subprocess
from dataclasses import dataclass
from functools import cached_property

import h5py
import numpy as np
import pandas as pd

# In whole numbers this value stands for one that is not known.
UNKNOWN = np.uint64(2**64 - 1)
# Columns of text that are sentences, identities or lists, and no names of a small set.
FREE_TEXT = {"reason", "id", "file", "created", "hosts", "scheduler_job", "environment"}


@dataclass(frozen=True)
class Result:
    """A result file. Each table is read when it is asked for."""

    path: str

    def table(self, name):
        """Returns a table of the file as a DataFrame. `attrs["units"]` and `attrs["meanings"]` have an entry a column."""
        with h5py.File(self.path, "r") as file:
            dataset = file[name]
            rows, attributes = dataset[()], dict(dataset.attrs)
        frame = pd.DataFrame({column: _column(column, rows[column]) for column in rows.dtype.names})
        described = {column: re.fullmatch(r"\[(.*?)\] (.*)", attributes[column]) for column in frame}
        frame.attrs["units"] = {column: match[1] for column, match in described.items()}
        frame.attrs["meanings"] = {column: match[2] for column, match in described.items()}
        return frame

    @cached_property
    def cells(self):
        """One row a cell. Job and cell together identify it."""
        return self.table("cells")

    @cached_property
    def samples(self):
        """Every timed round, those that count for nothing included (see `rounds`)."""
        return self.table("samples")

    @cached_property
    def rounds(self):
        """The samples that count, with the columns of their cells. A column of both has the suffix `_of_cell`."""
        samples = self.samples
        # Files before schema 6 have no rounds that others supersede.
        counts = samples[(samples["late_ranks"] == 0) & (samples.get("superseded", 0) == 0)]
        return counts.merge(self.cells, on=["job", "cell"], suffixes=("", "_of_cell"))

    @cached_property
    def blocks(self):
        """One row a block: the state of the machine."""
        return self.table("blocks")

    @cached_property
    def ratios(self):
        """Ratios to the fastest cell of a comparison, within a job."""
        return self.table("ratios")

    @cached_property
    def pooled_ratios(self):
        """Ratios over jobs."""
        return self.table("pooled_ratios")

    @cached_property
    def jobs(self):
        """One row a job."""
        return self.table("jobs")

    @cached_property
    def experiment(self):
        """The experiment as it was written."""
        with h5py.File(self.path, "r") as file:
            return json.loads(file["experiment"].asstr()[()])

    @cached_property
    def environment(self):
        """The environment of the (first) job."""
        with h5py.File(self.path, "r") as file:
            return json.loads(file["environment"].asstr()[()])

    @cached_property
    def answers(self):
        """One row a comparison: the advice, and the sentence that states it. The program gradshard calculates them; the
        environment variable GRADSHARD names it, otherwise it is searched in PATH."""
        program = os.environ.get("GRADSHARD", "gradshard")
        try:
            shown = subprocess.run(
                [program, "show", self.path, "--format", "json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
        except FileNotFoundError as error:
            raise FileNotFoundError(f"{program}: answers need the program; set GRADSHARD to its path") from error
        if shown.returncode != 0:
            raise ValueError(shown.stderr.strip())
        return pd.DataFrame(json.loads(shown.stdout)["answers"], columns=["comparison", "of", "advice", "sentence"])


def _column(name, values):
    """Returns a column's values: names as categories, whole numbers with missing ones where they are unknown."""
    if values.dtype == object:
        text = [value.decode("utf-8") for value in values]
        return pd.Series(text, dtype="str" if name in FREE_TEXT else "category")
    if values.dtype == np.uint64:
        return pd.Series(pd.arrays.IntegerArray(values.copy(), values == UNKNOWN))
    return pd.Series(values)


def read(path):
    """Opens a result file. It is refused if it is not one."""
    path = os.fspath(path)
    with h5py.File(path, "r") as file:
        if file.attrs.get("format") != "gradshard results":
            raise ValueError(f"{path} is no result file of gradshard")
    return Result(path)
