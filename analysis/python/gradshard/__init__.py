"""Results of gradshard as pandas tables.

    import gradshard
    result = gradshard.read("resnet18.h5")
    result.cells[["strategy", "end", "median_s", "share_of_limit"]]

gradshard.convert and gradshard.flower write gradients as gradshard reads them.
"""

from gradshard.results import Result, read

__all__ = ["Result", "read"]
