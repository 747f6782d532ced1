"""Train one FedAvg round on the handwritten-digits data set that ships with scikit-learn and keep every client's
update: real gradients with real magnitudes, layer shapes and unequal sample counts.

    python make_digits.py [OUT_DIR]          OUT_DIR is digits/ beside this file unless given
    python make_digits.py --check [DIR]      trains again and compares every tensor and sample count in DIR with it

Needs numpy, scikit-learn and safetensors. The digits are those of Alpaydin and Kaynak, "Optical recognition of
handwritten digits", UCI machine learning repository, 1998 (CC BY 4.0).

Writes client_00.safetensors ... client_19.safetensors (f32 tensors fc1.weight [256,64], fc1.bias, fc2.weight
[256,256], fc2.bias, fc3.weight [10,256], fc3.bias = 85,002 parameters; metadata num_samples, client). A client's
tensors are its weight delta after 3 local epochs of SGD from a common start; the 20 clients' sample counts follow a
Dirichlet(0.5) split by label, so they differ widely. Another numpy or BLAS may add up in another order, and then the
last bits differ from the files kept here.
"""
import sys
import numpy as np
from pathlib import Path
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from sklearn.datasets import load_digits

CLIENTS, EPOCHS, BATCH, RATE = 20, 3, 16, 0.05
rng = np.random.default_rng(2604)
x, y = load_digits(return_X_y=True)
x = (x / 16.0).astype(np.float32)
onehot = np.eye(10, dtype=np.float32)[y]

def layer(n_out, n_in):
    return (rng.standard_normal((n_out, n_in)) * np.sqrt(2.0 / n_in)).astype(np.float32), np.zeros(n_out, np.float32)

start = [layer(256, 64), layer(256, 256), layer(10, 256)]
split = [[] for _ in range(CLIENTS)]
for label in range(10):
    members = rng.permutation(np.flatnonzero(y == label))
    cuts = (np.cumsum(rng.dirichlet([0.5] * CLIENTS))[:-1] * len(members)).astype(int)
    for client, part in enumerate(np.split(members, cuts)):
        split[client].extend(part)

arguments = sys.argv[1:]
check = arguments[:1] == ["--check"]
where = arguments[check:]
out = Path(where[0]) if where else Path(__file__).parent / "digits"
out.mkdir(parents=True, exist_ok=True)
differing = 0
for client, members in enumerate(split):
    members = np.array(members if members else [0])
    params = [(w.copy(), b.copy()) for w, b in start]
    for _ in range(EPOCHS):
        order = rng.permutation(members)
        for i in range(0, len(order), BATCH):
            rows = order[i:i + BATCH]
            acts = [x[rows]]
            for k, (w, b) in enumerate(params):
                z = acts[-1] @ w.T + b
                acts.append(np.maximum(z, 0) if k < 2 else z)
            p = np.exp(acts[-1] - acts[-1].max(1, keepdims=True))
            delta = (p / p.sum(1, keepdims=True) - onehot[rows]) / len(rows)
            for k in (2, 1, 0):
                w, b = params[k]
                gw, gb = delta.T @ acts[k], delta.sum(0)
                delta = (delta @ w) * (acts[k] > 0)
                params[k] = (w - RATE * gw, b - RATE * gb)
    tensors = {}
    for k, ((w, b), (w0, b0)) in enumerate(zip(params, start), 1):
        tensors[f"fc{k}.weight"] = (w - w0).astype(np.float32)
        tensors[f"fc{k}.bias"] = (b - b0).astype(np.float32)
    path, metadata = out / f"client_{client:02}.safetensors", {"num_samples": str(len(members)), "client": str(client)}
    if not check:
        save_file(tensors, path, metadata)
        continue
    kept = load_file(path)
    same = kept.keys() == tensors.keys() and all(kept[name].tobytes() == tensors[name].tobytes() for name in kept)
    if not same or safe_open(path, "np").metadata() != metadata:
        differing += 1
        print(f"{path} differs from what was trained just now")

if check:
    print(f"{CLIENTS - differing} of {CLIENTS} clients are the same to the bit")
    sys.exit(differing > 0)
