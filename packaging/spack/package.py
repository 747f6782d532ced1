from spack_repo.builtin.build_systems.cargo import CargoPackage

from spack.package import *


class Gradshard(CargoPackage):
    """Compares sharded gradient aggregation with trees over MPI."""

    # There is no release yet, so the source is a clone: spack dev-build, or spack develop --path CLONE.
    version("0.1.0")

    license("MIT OR Apache-2.0")

    variant("mpi", default=True, description="Ranks as MPI processes; without it as threads")

    depends_on("c", type="build")
    depends_on("rust@1.89:", type="build")
    depends_on("llvm+clang", type="build")
    depends_on("pkgconfig", type="build")
    depends_on("hdf5~mpi")
    depends_on("hwloc@2.8:")
    depends_on("mpi", when="+mpi")

    @property
    def build_args(self):
        return ["--locked"] if self.spec.satisfies("+mpi") else ["--locked", "--no-default-features"]

    def setup_build_environment(self, env):
        env.set("HDF5_DIR", self.spec["hdf5"].prefix)
        env.set("LIBCLANG_PATH", self.spec["llvm"].prefix.lib)
        if self.spec.satisfies("+mpi"):
            env.set("MPICC", self.spec["mpi"].mpicc)
