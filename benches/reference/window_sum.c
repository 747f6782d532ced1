/* The least that sharded-direct has to do on one node, by hand: each rank sums its shard straight out of all clients'
 * gradients, which lie in MPI shared windows, block by block so that the sums stay in cache, four gradients a pass,
 * then divides and writes past the cache where the processor can. Less would be easy to beat.
 *
 * usage: mpirun -n P window_sum ELEMENTS CLIENTS ROUNDS
 *
 * Prints one JSON object: "seconds", a list with the time of each round; and "add_seconds", the times of a three-stream
 * add (a[i] = b[i] + c[i], nothing else) over three arrays of ADD elements a rank, which is what the memory yields.
 * The result is compared with its value worked out by hand; a wrong element ends the job with exit code 1.
 *
 * Build: mpicc -O3 -march=native -ffp-contract=off. Without contraction, as gradshard sums. */
#include "timing.h"
#include <stdint.h>
#ifdef __linux__
#include <sys/mman.h>
#endif
#ifdef __SSE__
#include <xmmintrin.h>
#endif

enum {
    BLOCK = 16 * 1024,
    PIECE = 1024,
    /* Gradients that one pass over a block adds. */
    GROUP = 4,
    /* 64 MiB: beyond what caches hold. */
    ADD = 16 * 1024 * 1024,
    /* Of what is written past the cache. */
    ALIGNMENT = 64,
    PAGE = 4096,
};

struct problem {
    long low, high; /* this rank's shard */
    int clients;
    const float **gradients; /* of every client */
    const float *weights;
    float total;
    float *result; /* high - low */
    float *block;  /* BLOCK */
    float *added;  /* ADD */
    const float *one, *two;
};

/* The first of `things` that part `part` of `parts` takes: the first parts take one more. */
static long share_begin(long things, long parts, long part) {
    long extra = things % parts;
    return things / parts * part + (part < extra ? part : extra);
}

/* Small whole numbers, whose sums float holds exactly. */
static float gradient_value(long client, long element) { return (float)((element * 7 + client * 3) % 64 - 32); }
static float client_weight(long client) { return (float)(client % 3 + 1); }

/* to = from / divisor, past the cache; to is aligned to 16 bytes, from too. */
static void divide(float *to, const float *from, float divisor, long count) {
    long i = 0;
#ifdef __SSE__
    __m128 divisors = _mm_set1_ps(divisor);
    for (long whole = count - count % 4; i < whole; i += 4) _mm_stream_ps(to + i, _mm_div_ps(_mm_load_ps(from + i), divisors));
#endif
    for (; i < count; i++) to[i] = from[i] / divisor;
}

/* Adds `terms` gradients to a block, in their order; the first of all gradients begins it. Called with constants, so
 * that the compiler unrolls the loop over terms and vectorises the other. */
static inline __attribute__((always_inline)) void pass(float *restrict out, int begins, const float **gradients,
                                                       const float *weights, int terms, long at, long count) {
    for (long i = 0; i < count; i++) {
        float sum = begins ? weights[0] * gradients[0][at + i] : out[i] + weights[0] * gradients[0][at + i];
#pragma GCC unroll 4
        for (int k = 1; k < terms; k++) sum += weights[k] * gradients[k][at + i];
        out[i] = sum;
    }
}

static void pass_of(float *out, int begins, const float **gradients, const float *weights, int terms, long at,
                    long count) {
    /* Copies that no store to out can change. */
    const float *of[GROUP];
    float by[GROUP];
    for (int k = 0; k < terms; k++) of[k] = gradients[k], by[k] = weights[k];
    switch (terms * 2 + (begins != 0)) {
        case 2: pass(out, 0, of, by, 1, at, count); break;
        case 3: pass(out, 1, of, by, 1, at, count); break;
        case 4: pass(out, 0, of, by, 2, at, count); break;
        case 5: pass(out, 1, of, by, 2, at, count); break;
        case 6: pass(out, 0, of, by, 3, at, count); break;
        case 7: pass(out, 1, of, by, 3, at, count); break;
        case 8: pass(out, 0, of, by, 4, at, count); break;
        case 9: pass(out, 1, of, by, 4, at, count); break;
    }
}

static void sum(void *state) {
    const struct problem *p = state;
    for (long at = p->low; at < p->high; at += BLOCK) {
        long count = p->high - at < BLOCK ? p->high - at : BLOCK;
        int k = 0;
        for (; k + GROUP < p->clients; k += GROUP)
            pass_of(p->block, k == 0, p->gradients + k, p->weights + k, GROUP, at, count);
        /* The last pass in pieces, each written out at once: reading from memory does not pause for long. */
        for (long piece = 0; piece < count; piece += PIECE) {
            long length = count - piece < PIECE ? count - piece : PIECE;
            float *out = p->block + piece;
            pass_of(out, k == 0, p->gradients + k, p->weights + k, p->clients - k, at + piece, length);
            divide(p->result + (at - p->low) + piece, out, p->total, length);
        }
    }
#ifdef __SSE__
    _mm_sfence();
#endif
}

static void add(void *state) {
    const struct problem *p = state;
    const float *restrict one = p->one, *restrict two = p->two;
    for (long at = 0; at < ADD; at += PIECE) {
        float *restrict out = p->block;
        for (long i = 0; i < PIECE; i++) out[i] = one[at + i] + two[at + i];
        divide(p->added + at, out, 1, PIECE);
    }
}

static void *allocate(size_t count, size_t size) {
    size_t bytes = (count * size + ALIGNMENT) / ALIGNMENT * ALIGNMENT;
    void *memory = aligned_alloc(ALIGNMENT, bytes);
    if (!memory) timing_fail("no memory");
#ifdef __linux__
    /* As gradshard asks for its own. Whole pages only; a refusal costs nothing but speed. */
    uintptr_t begin = ((uintptr_t)memory + PAGE - 1) / PAGE * PAGE, end = ((uintptr_t)memory + bytes) / PAGE * PAGE;
    if (begin < end) madvise((void *)begin, end - begin, MADV_HUGEPAGE);
#endif
    return memory;
}

int main(int count, char **arguments) {
    MPI_Init(&count, &arguments);
    int rank, ranks, together;
    MPI_Comm node;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    if (count != 4) timing_fail("usage: window_sum ELEMENTS CLIENTS ROUNDS");
    MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &node);
    MPI_Comm_size(node, &together);
    if (together != ranks) timing_fail("window_sum: all ranks must be on one node");
    long elements = timing_number(arguments[1], "ELEMENTS", 1L << 40);
    int clients = (int)timing_number(arguments[2], "CLIENTS", 1 << 20);
    int rounds = (int)timing_number(arguments[3], "ROUNDS", 1 << 20);

    long first = share_begin(clients, ranks, rank), last = share_begin(clients, ranks, rank + 1);
    MPI_Info info;
    MPI_Info_create(&info);
    MPI_Info_set(info, "alloc_shared_noncontig", "true");
    float *own;
    MPI_Win window;
    MPI_Win_allocate_shared((MPI_Aint)((size_t)(last - first) * (size_t)elements * sizeof(float)), 1, info, node, &own,
                            &window);
    for (long k = first; k < last; k++)
        for (long i = 0; i < elements; i++) own[(k - first) * elements + i] = gradient_value(k, i);

    const float **gradients = allocate((size_t)clients, sizeof *gradients);
    float *weights = allocate((size_t)clients, sizeof *weights), total = 0;
    for (int host = 0; host < ranks; host++) {
        MPI_Aint size;
        int unit;
        float *base;
        MPI_Win_shared_query(window, host, &size, &unit, &base);
        long from = share_begin(clients, ranks, host), to = share_begin(clients, ranks, host + 1);
        for (long k = from; k < to; k++) gradients[k] = base + (k - from) * elements;
    }
    for (int k = 0; k < clients; k++) total += weights[k] = client_weight(k);
    long low = share_begin(elements, ranks, rank), high = share_begin(elements, ranks, rank + 1);
    size_t length = (size_t)(high - low);
    float *one = allocate(ADD, sizeof *one), *two = allocate(ADD, sizeof *two);
    struct problem problem = {low, high, clients, gradients, weights, total, allocate(length, sizeof(float)),
                              allocate(BLOCK, sizeof(float)), allocate(ADD, sizeof(float)), one, two};
    /* First touch; and the result must not be right before it was summed. */
    for (size_t i = 0; i < length; i++) problem.result[i] = -1e9f;
    for (int i = 0; i < ADD; i++) one[i] = two[i] = problem.added[i] = (float)i;

    double *seconds = allocate((size_t)rounds, sizeof *seconds), *add_seconds = allocate((size_t)rounds, sizeof *seconds);
    timing_rounds(add, &problem, rounds, add_seconds);
    timing_rounds(sum, &problem, rounds, seconds);
    for (long i = low; i < high; i++) {
        float expected = 0;
        for (int k = 0; k < clients; k++) expected += client_weight(k) * gradient_value(k, i);
        if (problem.result[i - low] != expected / total) timing_fail("window_sum: a wrong element");
    }
    if (rank == 0) {
        printf("{\"elements\": %ld, \"clients\": %d, \"ranks\": %d, \"seconds\": ", elements, clients, ranks);
        timing_print(seconds, rounds);
        printf(", \"add_seconds\": ");
        timing_print(add_seconds, rounds);
        printf(", \"add_bytes\": %ld}\n", 3L * ADD * (long)sizeof(float) * ranks);
    }
    MPI_Win_free(&window);
    MPI_Finalize();
    return 0;
}
