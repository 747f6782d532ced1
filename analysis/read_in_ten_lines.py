import sys, h5py, pandas as pd
with h5py.File(sys.argv[1]) as file:
    cells = pd.DataFrame(file["cells"][()])
    samples = pd.DataFrame(file["samples"][()])
for name in cells.columns[cells.dtypes == object]:
    cells[name] = cells[name].str.decode("utf-8")
rounds = samples.merge(cells[["job", "cell", "model", "strategy", "shards", "flow"]], on=["job", "cell"])
by = ["model", "strategy", "shards", "flow"]
print(rounds.groupby(by)["seconds"].describe()[["count", "50%", "max"]].to_string())
