"""Writes clients' updates as safetensors files, which gradshard reads.

    python -m gradshard.convert updates/*.npz --output dir

Reads npz archives of NumPy, and with torch installed PyTorch's state_dict files (pt, pth). Each file is a client, and keeps
its name. A number called num_samples or num_examples in it becomes the client's weight. Pickles that may run code are not
loaded. Tensors of bf16 are widened to f32; write "dtype": "bf16" in the experiment to have them back.
"""

import argparse
import os
import pickle
import sys
import zipfile

import numpy as np

from gradshard import gradients


def read_npz(path):
    if not zipfile.is_zipfile(path):
        raise ValueError(f"{path}: is no npz archive")
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def read_state_dict(path):
    try:
        import torch
    except ImportError as error:
        raise ValueError(f"{path}: reading it needs torch (pip install torch)") from error
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(f"{path}: holds more than tensors, which may run code; save model.state_dict()") from error
    if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]
    if not isinstance(state, dict):
        raise ValueError(f"{path}: is no dictionary of tensors; save model.state_dict()")
    tensors = {}
    for name, value in state.items():
        value = torch.as_tensor(value)
        tensors[name] = (value.float() if value.dtype == torch.bfloat16 else value).numpy()
    return tensors


READERS = {".npz": read_npz, ".pt": read_state_dict, ".pth": read_state_dict}


def convert(path, directory):
    """Converts one file. Returns the path that was written and the names of tensors that were left out."""
    stem, extension = os.path.splitext(os.path.basename(path))
    if extension not in READERS:
        raise ValueError(f"{path}: reads {', '.join(READERS)}")
    tensors, weight = gradients.split_weight(READERS[extension](path))
    written = os.path.join(directory, f"{stem}.safetensors")
    if os.path.exists(written):
        raise ValueError(f"{written} exists; remove it, or give another --output")
    return written, gradients.save(written, tensors, weight)


def main():
    parser = argparse.ArgumentParser(
        prog="gradshard.convert", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="+", help="a client's update each")
    parser.add_argument("--output", required=True, help="directory of the safetensors files; made if it is missing")
    arguments = parser.parse_args()
    os.makedirs(arguments.output, exist_ok=True)
    for path in arguments.files:
        try:
            written, left_out = convert(path, arguments.output)
        except (OSError, ValueError) as error:
            sys.exit(f"gradshard.convert: {error}")
        print(f"{written}{f'; left out: {chr(44).join(left_out)}' if left_out else ''}")


if __name__ == "__main__":
    main()
