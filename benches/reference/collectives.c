/* The MPI library's collectives timed the common way, without gradshard: one float buffer a rank, MPI_Reduce_scatter and
 * MPI_Reduce over it, one after the other.
 *
 * usage: mpirun -n P collectives ELEMENTS ROUNDS
 *
 * Prints one JSON object: "reduce_scatter_seconds" and "reduce_seconds", lists with the time of each round. A wrong
 * element ends the job with exit code 1. Build: mpicc -O3 -march=native. */
#include "timing.h"
#include <limits.h>

struct problem {
    int elements;
    int *counts;
    float *gradient, *result;
};

static void reduce_scatter(void *state) {
    const struct problem *p = state;
    MPI_Reduce_scatter(p->gradient, p->result, p->counts, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
}

static void reduce(void *state) {
    const struct problem *p = state;
    MPI_Reduce(p->gradient, p->result, p->elements, MPI_FLOAT, MPI_SUM, 0, MPI_COMM_WORLD);
}

int main(int count, char **arguments) {
    MPI_Init(&count, &arguments);
    int rank, ranks;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    if (count != 3) timing_fail("usage: collectives ELEMENTS ROUNDS");
    int elements = (int)timing_number(arguments[1], "ELEMENTS", INT_MAX);
    int rounds = (int)timing_number(arguments[2], "ROUNDS", 1 << 20);
    struct problem p = {elements, malloc((size_t)ranks * sizeof(int)), malloc((size_t)elements * sizeof(float)),
                        malloc((size_t)elements * sizeof(float))};
    /* Two lists of times: reduce-scatter's, then reduce's. */
    double *seconds = malloc(2 * (size_t)rounds * sizeof *seconds);
    if (!p.counts || !p.gradient || !p.result || !seconds) timing_fail("no memory");
    int low = 0;
    for (int r = 0; r < ranks; r++) {
        p.counts[r] = elements / ranks + (r < elements % ranks);
        if (r < rank) low += p.counts[r];
    }
    /* Small whole numbers, whose sums float holds exactly. */
    for (int i = 0; i < elements; i++) p.gradient[i] = (float)(i % 64 + rank);
    for (int i = 0; i < elements; i++) p.result[i] = -1;

    double *of_reduce = seconds + rounds;
    timing_rounds(reduce_scatter, &p, rounds, seconds);
    float of_ranks = (float)ranks * (float)(ranks - 1) / 2;
    for (int i = 0; i < p.counts[rank]; i++)
        if (p.result[i] != (float)ranks * (float)((low + i) % 64) + of_ranks) timing_fail("MPI_Reduce_scatter: wrong");
    timing_rounds(reduce, &p, rounds, of_reduce);
    for (int i = 0; rank == 0 && i < elements; i++)
        if (p.result[i] != (float)ranks * (float)(i % 64) + of_ranks) timing_fail("MPI_Reduce: wrong");
    if (rank == 0) {
        printf("{\"elements\": %d, \"ranks\": %d, \"reduce_scatter_seconds\": ", elements, ranks);
        timing_print(seconds, rounds);
        printf(", \"reduce_seconds\": ");
        timing_print(of_reduce, rounds);
        printf("}\n");
    }
    MPI_Finalize();
    return 0;
}
