"""FedAvg of safetensors files by numpy alone: the flat server in client order, against kept results.

usage: flat_server.py DIRECTORY_OF_CLIENTS DIRECTORY_OF_RESULTS

Prints a JSON object: for each npy file of results, the number of elements that differ in any bit. Needs no part of
gradshard. Called by tests/mpi_run.rs.
"""

import json
import sys
from pathlib import Path

import numpy as np
from safetensors import safe_open


def client(path):
    """A client's gradient, its tensors one after another in byte order of their names, and its weight."""
    with safe_open(path, framework="np") as f:
        names = sorted(f.keys(), key=lambda name: name.encode())
        gradient = np.concatenate([f.get_tensor(name).ravel() for name in names])
        return gradient, np.float32(f.metadata()["num_samples"])


def main(clients, results):
    total, weights = None, np.float64(0)
    for path in sorted(Path(clients).glob("*.safetensors"), key=lambda path: path.name.encode()):
        gradient, weight = client(path)
        assert gradient.dtype == np.float32
        product = weight * gradient
        total = product if total is None else total + product
        weights += np.float64(weight)
    expected = total / np.float32(weights)
    assert expected.dtype == np.float32

    def differing(path):
        found = np.load(path)
        assert found.dtype == np.float32 and found.shape == expected.shape, (path, found.dtype, found.shape)
        return int(np.count_nonzero(found.view(np.uint32) != expected.view(np.uint32)))

    json.dump({path.name: differing(path) for path in sorted(Path(results).glob("*.npy"))}, sys.stdout)


main(*sys.argv[1:])
