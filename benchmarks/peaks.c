/* What one core can do at most: fused multiply-adds in registers, and a triad over arrays larger than every cache. */

#define _POSIX_C_SOURCE 199309L
#include <stdlib.h>
#include <time.h>

#ifdef __AVX512F__
enum { LANES = 8 };
#elif defined(__AVX__)
enum { LANES = 4 };
#else
enum { LANES = 2 };
#endif
enum { CHAINS = 12, ROUNDS = 20000000, LONG = 1 << 24, PASSES = 3 };
typedef double vector __attribute__((vector_size(LANES * sizeof(double))));

static double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Operations per second, a fused multiply-add counted as two; chains that do not wait for each other. */
double operations_per_s(void) {
    vector sum[CHAINS], factor, more;
    for (int l = 0; l < LANES; l++) factor[l] = 0.999999, more[l] = 1e-6;
    for (int c = 0; c < CHAINS; c++) sum[c] = factor * (double)c;
    double start_s = now_s();
    for (int r = 0; r < ROUNDS; r++)
        for (int c = 0; c < CHAINS; c++) sum[c] = sum[c] * factor + more;
    double taken_s = now_s() - start_s, total = 0.0;
    for (int c = 0; c < CHAINS; c++) total += sum[c][0];
    volatile double kept = total; /* or the compiler would leave it all out */
    (void)kept;
    return 2.0 * LANES * CHAINS * (double)ROUNDS / taken_s;
}

/* Bytes per second read and written by a triad; the read that a write costs is not counted. */
double bytes_per_s(void) {
    double *a = malloc(LONG * sizeof(double)), *b = malloc(LONG * sizeof(double)), *c = malloc(LONG * sizeof(double));
    if (!a || !b || !c) return free(a), free(b), free(c), 0.0;
    for (int k = 0; k < LONG; k++) a[k] = 0.0, b[k] = k, c[k] = 1.0;
    double best_s = 1e9;
    for (int pass = 0; pass < PASSES; pass++) {
        double start_s = now_s();
        for (int k = 0; k < LONG; k++) a[k] = b[k] + 1.5 * c[k];
        double taken_s = now_s() - start_s;
        best_s = taken_s < best_s ? taken_s : best_s;
    }
    volatile double kept = a[LONG / 2];
    (void)kept;
    free(a), free(b), free(c);
    return 3.0 * sizeof(double) * LONG / best_s;
}
