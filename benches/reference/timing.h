/* Timing as gradshard times: all ranks start at a barrier, each takes its own time, the slowest is the sample. */
#ifndef GRADSHARD_REFERENCE_TIMING_H
#define GRADSHARD_REFERENCE_TIMING_H
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

/* Rounds before the first that is timed. */
enum { WARMUP = 2 };

static inline void timing_fail(const char *what) {
    fprintf(stderr, "%s\n", what);
    MPI_Abort(MPI_COMM_WORLD, 1);
    exit(1);
}

/* A whole number from 1 up to most; anything else ends the job. */
static inline long timing_number(const char *text, const char *name, long most) {
    char *end;
    long number = strtol(text, &end, 10);
    if (end == text || *end || number < 1 || number > most) {
        fprintf(stderr, "%s: %s: a whole number from 1 to %ld\n", name, text, most);
        MPI_Abort(MPI_COMM_WORLD, 2);
        exit(2);
    }
    return number;
}

/* Calls round(state) rounds times. seconds[i] becomes the slowest rank's time of the ith, on rank 0. */
static inline void timing_rounds(void (*round)(void *), void *state, int rounds, double *seconds) {
    for (int i = -WARMUP; i < rounds; i++) {
        MPI_Barrier(MPI_COMM_WORLD);
        double begun = MPI_Wtime();
        round(state);
        double mine = MPI_Wtime() - begun, slowest = 0;
        MPI_Reduce(&mine, &slowest, 1, MPI_DOUBLE, MPI_MAX, 0, MPI_COMM_WORLD);
        if (i >= 0) seconds[i] = slowest;
    }
}

/* Prints a JSON array. */
static inline void timing_print(const double *seconds, int rounds) {
    putchar('[');
    for (int i = 0; i < rounds; i++) printf("%s%.9f", i ? ", " : "", seconds[i]);
    putchar(']');
}
#endif
