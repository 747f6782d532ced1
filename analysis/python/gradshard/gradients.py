"""Writes a client's gradient as gradshard reads it: a safetensors file a client, its weight in the metadata."""

import numpy as np
from safetensors.numpy import save_file

# The types of gradients' elements.
TYPES = {np.dtype(name) for name in ("float16", "float32", "float64")}
# Names under which an archive may hold a client's weight beside its tensors.
WEIGHTS = ("num_samples", "num_examples", "num-examples")


def split_weight(tensors):
    """Takes a client's weight out of its tensors. Returns the others, and the weight or None."""
    found = [name for name in WEIGHTS if name in tensors]
    if len(found) > 1:
        raise ValueError(f"both {found[0]} and {found[1]} are there; a client has one weight")
    rest = {name: tensor for name, tensor in tensors.items() if name not in found}
    return rest, (float(np.asarray(tensors[found[0]]).item()) if found else None)


def save(path, tensors, weight=None):
    """Writes one client's tensors, and returns the names of those that are left out as they are no gradients (counters
    and other whole numbers). gradshard concatenates tensors in byte order of their names."""
    kept = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items() if tensor.dtype in TYPES}
    if not kept:
        raise ValueError(f"{path}: no tensor of floating-point numbers")
    kinds = {tensor.dtype.name for tensor in kept.values()}
    if len(kinds) > 1:
        raise ValueError(f"{path}: tensors of several types ({', '.join(sorted(kinds))}); a gradient has one")
    if weight is not None and not (np.isfinite(weight) and weight > 0):
        raise ValueError(f"{path}: weight {weight}; a weight is finite and above zero")
    save_file(kept, path, None if weight is None else {"num_samples": f"{weight:.17g}"})
    return [name for name in tensors if name not in kept]
