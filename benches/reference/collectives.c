/* The mean of one gradient a rank by the MPI library's collectives, called the common way, without gradshard: each rank
 * gives its gradient to MPI_Reduce_scatter or MPI_Reduce and divides what it has received by the number of ranks. That is
 * what gradshard's strategies of these names do where each rank has one client of weight 1 (a gradient that needs no
 * weighing enters the collective as it lies), so the times compare. All buffers are on huge pages, as gradshard asks for its
 * own.
 *
 * usage: mpirun -n P collectives ELEMENTS ROUNDS
 *
 * Prints one JSON object: "reduce_scatter_seconds" and "reduce_seconds", lists with the time of each round. A wrong
 * element ends the job with exit code 1. Build: mpicc -O3 -march=native. */
#include "timing.h"
#include <limits.h>
#include <string.h>
#include <sys/mman.h>

struct problem {
    int elements, rank, ranks;
    int *counts;
    float *gradient, *result;
};

static void divide(const struct problem *p, int count) {
    float *result = p->result, total = (float)p->ranks;
    for (int i = 0; i < count; i++) result[i] /= total;
}

static void reduce_scatter(void *state) {
    const struct problem *p = state;
    MPI_Reduce_scatter(p->gradient, p->result, p->counts, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
    divide(p, p->counts[p->rank]);
}

static void reduce(void *state) {
    const struct problem *p = state;
    MPI_Reduce(p->gradient, p->result, p->elements, MPI_FLOAT, MPI_SUM, 0, MPI_COMM_WORLD);
    if (p->rank == 0) divide(p, p->elements);
}

/* Floats on huge pages where the kernel has them, each touched. */
static float *allocate(int elements) {
    size_t bytes = (size_t)elements * sizeof(float);
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) timing_fail("no memory");
    madvise(memory, bytes, MADV_HUGEPAGE);
    memset(memory, 0, bytes);
    return memory;
}

int main(int count, char **arguments) {
    MPI_Init(&count, &arguments);
    int rank, ranks;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    if (count != 3) timing_fail("usage: collectives ELEMENTS ROUNDS");
    int elements = (int)timing_number(arguments[1], "ELEMENTS", INT_MAX);
    int rounds = (int)timing_number(arguments[2], "ROUNDS", 1 << 20);
    struct problem p = {elements, rank, ranks, malloc((size_t)ranks * sizeof(int)), allocate(elements), allocate(elements)};
    /* Two lists of times: reduce-scatter's, then reduce's. */
    double *seconds = malloc(2 * (size_t)rounds * sizeof *seconds);
    if (!p.counts || !seconds) timing_fail("no memory");
    int low = 0;
    for (int r = 0; r < ranks; r++) {
        p.counts[r] = elements / ranks + (r < elements % ranks);
        if (r < rank) low += p.counts[r];
    }
    /* Small whole numbers, whose sums float holds exactly, and whose mean over up to 2^17 ranks too. */
    for (int i = 0; i < elements; i++) p.gradient[i] = (float)(i % 64 + rank);
    for (int i = 0; i < elements; i++) p.result[i] = -1;

    double *of_reduce = seconds + rounds;
    timing_rounds(reduce_scatter, &p, rounds, seconds);
    /* The mean of i % 64 + r over ranks r: i % 64 + (P - 1) / 2. */
    float of_ranks = (float)(ranks - 1) / 2;
    for (int i = 0; i < p.counts[rank]; i++)
        if (p.result[i] != (float)((low + i) % 64) + of_ranks) timing_fail("MPI_Reduce_scatter: wrong");
    timing_rounds(reduce, &p, rounds, of_reduce);
    for (int i = 0; rank == 0 && i < elements; i++)
        if (p.result[i] != (float)(i % 64) + of_ranks) timing_fail("MPI_Reduce: wrong");
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
