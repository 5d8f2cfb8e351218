/* The estimator of packhorse/estimation/belief.py once more in C99, as a measure of what a compiler makes of it.

   The same state, the same steps in the same order: parameters at the SOC before, count, parameters and the OCV to both
   sides at the SOC after, correct. Strings are connected and their current is heard; what the estimator does otherwise
   (first frame, open contactors, silence) is left out, which only makes this version lighter. The state is changed in
   place, which C allows and the core, a pure function, does not. */

#include <math.h>
#include <stddef.h>

enum { DEGC_NODES = 25, SOC_NODES = 201, COLUMNS = 6, DEGC_COLUMNS = 7, COVARIANCES = 20 };
enum { OCV, R0, R1, R2, HALF_V, MODEL_V, TAU1, TAU2, SHARE, ROWS };
enum { ABOVE, ABOVE_V, BELOW, BELOW_V, FLOWED, FRESH, DEGC, WORK_ROWS };
enum { SOC, OFFSET, BIAS, CHARGE, RESISTANCE, USUAL, RC1, RC2, HYSTERESIS, SURPRISE, CORE, STATES };

/* The numbers of the pack and of the step, in the order in which Python hands them over. */
typedef struct {
    double capacity_Ah, hysteresis_rate, efficiency, self_discharge_per_s, resistance_sigma, fast_sigma_V, fast_share;
    double slow_s, slow_soc, standing_share, fast_s, core_K_per_W, core_s, cell_sigma_V, current_sigma_A;
    double current_offset_A, bleed_ohm;
    double offset_s, resistance_s, resistance_soc, usual_s, ageing_per_s, surprise_s, surprise_most, width, width_least;
    double coarse_s, rest_C, unheard_C;
    double most_variance, least_variance, gate, tiny, largest, degC_first, degC_step;
} Numbers;

static inline double decay(double x) {
    double y = (x < 32.0 ? x : 32.0) * (1.0 / 32.0), y2 = y * y;
    double late = (1.0 / 24.0 - y * (1.0 / 120.0)) + y2 * (1.0 / 720.0);
    double p = ((1.0 - y) + y2 * (0.5 - y * (1.0 / 6.0))) + y2 * y2 * late;
    p *= p, p *= p, p *= p, p *= p;
    return p * p;
}

static inline double flush(double x, double tiny) { return fabs(x) > tiny ? x : 0.0; }

static inline double within(double x, double low, double high) {
    double y = x > low ? x : low;
    return y < high ? y : high;
}

/* Place in the tables, and the weights of the four neighbours. */
static inline const double *place(const double *nodes, double soc, double degC, const Numbers *n, double w[4]) {
    double a = within(soc * (SOC_NODES - 1), 0.0, SOC_NODES - 1 - 1e-9);
    double b = within((degC - n->degC_first) * (1.0 / n->degC_step), 0.0, DEGC_NODES - 1 - 1e-9);
    size_t i = (size_t)a, j = (size_t)b;
    double f = a - (double)i, g = b - (double)j;
    w[0] = (1.0 - f) * (1.0 - g), w[1] = f * (1.0 - g), w[2] = (1.0 - f) * g, w[3] = f * g;
    return nodes + (j * SOC_NODES + i) * COLUMNS;
}

static inline double mixed(const double *at, int c, const double w[4]) {
    const double *warmer = at + SOC_NODES * COLUMNS;
    return w[0] * at[c] + w[1] * at[COLUMNS + c] + w[2] * warmer[c] + w[3] * warmer[COLUMNS + c];
}

static void look_up(int cells, const double *nodes, const double *soc, const double *degC, const Numbers *n,
                    double *restrict table) {
    for (int k = 0; k < cells; k++) {
        double w[4];
        const double *at = place(nodes, soc[k], degC[k], n, w);
        for (int c = 0; c < COLUMNS; c++) table[c * cells + k] = mixed(at, c, w);
    }
}

static void look_up_degC(int cells, const double *degC_nodes, const double *degC, const Numbers *n,
                         double *restrict table) {
    for (int k = 0; k < cells; k++) {
        double b = within((degC[k] - n->degC_first) * (1.0 / n->degC_step), 0.0, DEGC_NODES - 1 - 1e-9);
        size_t j = (size_t)b;
        double g = b - (double)j;
        for (int c = 0; c < 3; c++)
            table[(TAU1 + c) * cells + k] =
                (1.0 - g) * degC_nodes[j * DEGC_COLUMNS + c] + g * degC_nodes[(j + 1) * DEGC_COLUMNS + c];
    }
}

static void look_up_ocv(int cells, const double *nodes, const double *soc, const double *degC, const Numbers *n,
                        double *restrict ocv_V) {
    for (int k = 0; k < cells; k++) {
        double w[4];
        const double *at = place(nodes, soc[k], degC[k], n, w);
        ocv_V[k] = mixed(at, OCV, w);
    }
}

/* Rows of a string by name: the compiler must be told that they do not overlap, one by one. */
#define ROW(name, base, row) double *restrict name = (base) + (size_t)(row) * cells
#define COVARIANCE(p)                                                                                                  \
    ROW(p00, p, 0); ROW(p01, p, 1); ROW(p02, p, 2); ROW(p03, p, 3); ROW(p04, p, 4); ROW(p11, p, 5); ROW(p12, p, 6);    \
    ROW(p13, p, 7); ROW(p14, p, 8); ROW(p22, p, 9); ROW(p23, p, 10); ROW(p24, p, 11); ROW(p33, p, 12);                 \
    ROW(p34, p, 13); ROW(p44, p, 14);                                                                                  \
    ROW(p0, p, 15); ROW(p1, p, 16); ROW(p2, p, 17); ROW(p3, p, 18); ROW(p4, p, 19)

static void count(int cells, double *table, double *around, double *x, double *p, const double *bleed,
                  const Numbers *n, double current_A, double dt_s) {
    ROW(ocv_V, table, OCV); ROW(r0, table, R0); ROW(r1, table, R1); ROW(r2, table, R2);
    ROW(tau1, table, TAU1); ROW(tau2, table, TAU2); ROW(share, table, SHARE);
    ROW(soc, x, SOC); ROW(offset, x, OFFSET); ROW(bias, x, BIAS); ROW(charge, x, CHARGE);
    ROW(resistance, x, RESISTANCE); ROW(usual, x, USUAL); ROW(rc1, x, RC1); ROW(rc2, x, RC2);
    ROW(h, x, HYSTERESIS); ROW(core, x, CORE);
    ROW(above, around, ABOVE); ROW(below, around, BELOW); ROW(flowed, around, FLOWED); ROW(fresh, around, FRESH);
    COVARIANCE(p);
    const double efficiency = current_A < 0.0 ? n->efficiency : 1.0, lost = n->self_discharge_per_s * dt_s;
    const double ko = decay(dt_s / n->offset_s), kc = decay(dt_s / n->core_s), tiny = n->tiny;
    const double offset_A2 = (1.0 - ko * ko) * n->current_offset_A * n->current_offset_A;
    const double learn = dt_s < n->usual_s ? dt_s / n->usual_s : 1.0, siemens = 1.0 / n->bleed_ohm;
    const double counted = dt_s / (3600.0 * n->capacity_Ah), rate = n->hysteresis_rate;
    const double slow = dt_s / n->slow_s, resisted = dt_s / n->resistance_s;
    const double per_slow = 1.0 / n->slow_soc, per_resisted = 1.0 / n->resistance_soc, most = n->most_variance;
    const double sigma_A = n->current_sigma_A, ageing = n->ageing_per_s * dt_s, core_K_per_W = n->core_K_per_W;
    const double resistance2 = n->resistance_sigma * n->resistance_sigma, width = n->width, least = n->width_least;
#pragma GCC ivdep
    for (int k = 0; k < cells; k++) {
        double both = tau1[k] * tau2[k], inverse = 1.0 / (both * share[k]);
        double per_A = counted * both * inverse, per_both = dt_s * share[k] * inverse;
        double i = (current_A - offset[k]) * efficiency + bleed[k] * ocv_V[k] * siemens;
        double moved = per_A * charge[k] * i;
        double y = within(soc[k] - moved - lost, 0.0, 1.0);
        double k1 = decay(per_both * tau2[k]), k2 = decay(per_both * tau1[k]);
        double x1 = k1 * rc1[k] + (1.0 - k1) * r1[k] * i, x2 = k2 * rc2[k] + (1.0 - k2) * r2[k] * i;
        double turn = rate * i * per_A, kh = decay(fabs(turn));
        soc[k] = y, rc1[k] = flush(x1, tiny), rc2[k] = flush(x2, tiny), flowed[k] = i;
        h[k] = flush(kh * h[k] + (1.0 - kh) * (turn > 0.0 ? -1.0 : 1.0), tiny);
        core[k] = flush(kc * core[k] + (1.0 - kc) * core_K_per_W * resistance[k] * i * (r0[k] * i + x1 + x2), tiny);

        double far = fabs(moved), kb = decay(slow + far * per_slow), kr = decay(resisted + far * per_resisted);
        double a1 = per_A * charge[k] * efficiency, a3 = -per_A * i, white = sigma_A * per_A;
        double s01 = p01[k] + a1 * p11[k] + a3 * p13[k], s03 = p03[k] + a1 * p13[k] + a3 * p33[k];
        double s00 = p00[k] + a1 * (p01[k] + s01) + a3 * (p03[k] + s03) + white * white;
        s00 = s00 < most ? s00 : most;
        fresh[k] = 1.0 - kb * kb;
        p02[k] = kb * (p02[k] + a1 * p12[k] + a3 * p23[k]);
        p04[k] = kr * (p04[k] + a1 * p14[k] + a3 * p34[k]);
        p00[k] = s00, p01[k] = ko * s01, p03[k] = s03;
        p11[k] = ko * ko * p11[k] + offset_A2, p12[k] *= ko * kb, p13[k] *= ko, p14[k] *= ko * kr;
        p22[k] *= kb * kb, p23[k] *= kb, p24[k] *= kb * kr, p33[k] += ageing, p34[k] *= kr;
        p44[k] = kr * kr * p44[k] + (1.0 - kr * kr) * resistance2;
        p0[k] += a1 * p1[k] + a3 * p3[k], p1[k] *= ko, p2[k] *= kb, p4[k] *= kr;
        offset[k] *= ko, bias[k] *= kb;
        double used = usual[k] + learn * (resistance[k] - usual[k]);
        usual[k] = used, resistance[k] = used + kr * (resistance[k] - used);

        double wide = width * sqrt(s00);
        wide = wide > least ? wide : least;
        above[k] = y + wide < 1.0 ? y + wide : 1.0, below[k] = y - wide > 0.0 ? y - wide : 0.0;
    }
}

static void correct(int cells, double *table, double *around, double *x, double *p, const double *cell_V,
                    const Numbers *n, double dt_s) {
    ROW(ocv_V, table, OCV); ROW(r0, table, R0); ROW(r1, table, R1); ROW(r2, table, R2);
    ROW(half_V, table, HALF_V); ROW(model_V, table, MODEL_V);
    ROW(above, around, ABOVE); ROW(above_V, around, ABOVE_V); ROW(below, around, BELOW); ROW(below_V, around, BELOW_V);
    ROW(flowed, around, FLOWED); ROW(fresh, around, FRESH);
    ROW(soc, x, SOC); ROW(offset, x, OFFSET); ROW(bias, x, BIAS); ROW(charge, x, CHARGE);
    ROW(resistance, x, RESISTANCE); ROW(rc1, x, RC1); ROW(rc2, x, RC2); ROW(h, x, HYSTERESIS); ROW(surprise, x, SURPRISE);
    COVARIANCE(p);
    const double repeat = dt_s > 0.0 ? (dt_s < n->fast_s ? n->fast_s / dt_s : 1.0) : 1e6, tiny = n->tiny;
    const double white_V2 = n->cell_sigma_V * n->cell_sigma_V, fast_V2 = n->fast_sigma_V * n->fast_sigma_V;
    const double share2 = n->fast_share * n->fast_share, keep = decay(dt_s / n->surprise_s), largest = n->largest;
    const double most = n->surprise_most, per_gate2 = 1.0 / (n->gate * n->gate), least = n->least_variance;
    const double standing = n->standing_share, far_s = dt_s / (dt_s + n->coarse_s);
    const double apart_A = n->unheard_C * far_s * far_s * n->capacity_Ah, rest_A = n->rest_C * n->capacity_Ah;
#pragma GCC ivdep
    for (int k = 0; k < cells; k++) {
        double v = cell_V[k];
        int heard = (v > -largest) & (v < largest);
        double m = model_V[k], s22 = p22[k] + fresh[k] * m * m * surprise[k];
        double drop_V = r0[k] * flowed[k] + rc1[k] + rc2[k];
        double missed = (heard ? v : 0.0) - (ocv_V[k] + half_V[k] * h[k] - resistance[k] * drop_V + bias[k]);
        double h0 = (above_V[k] - below_V[k]) / (above[k] - below[k]);
        double h1 = resistance[k] * (r0[k] + r1[k] + r2[k]), h4 = -drop_V;
        double c0 = h0 * p00[k] + h1 * p01[k] + p02[k] + h4 * p04[k];
        double c1 = h0 * p01[k] + h1 * p11[k] + p12[k] + h4 * p14[k];
        double c2 = h0 * p02[k] + h1 * p12[k] + s22 + h4 * p24[k];
        double c3 = h0 * p03[k] + h1 * p13[k] + p23[k] + h4 * p34[k];
        double c4 = h0 * p04[k] + h1 * p14[k] + p24[k] + h4 * p44[k];
        double believed = h0 * c0 + h1 * c1 + c2 + h4 * c4;
        double bend = below_V[k] + h0 * (soc[k] - below[k]) - ocv_V[k], i = flowed[k] > 0.0 ? flowed[k] : -flowed[k];
        double apart = (r0[k] + r1[k]) * (i > rest_A ? apart_A : 0.0);
        double brief = fast_V2 + share2 * drop_V * drop_V + apart * apart;
        double spread = believed + (white_V2 + repeat * brief + bend * bend) * surprise[k], missed2 = missed * missed;
        double ratio = missed2 / (believed + white_V2 + brief);
        ratio = ratio < most ? ratio : most;
        double now = keep * surprise[k] + (1.0 - keep) * ratio, far = missed2 * per_gate2;
        now = now > 1.0 ? now : 1.0;
        spread = spread > far ? spread : far;
        double gain = heard ? 1.0 / spread : 0.0;
        missed = heard ? missed : 0.0;
        surprise[k] = heard ? now : surprise[k];
        double g0 = c0 * gain, g1 = c1 * gain, g2 = c2 * gain, g3 = c3 * gain, g4 = c4 * gain;
        soc[k] = within(soc[k] + g0 * missed, 0.0, 1.0);
        offset[k] = flush(offset[k] + g1 * missed, tiny), bias[k] = flush(bias[k] + g2 * missed, tiny);
        charge[k] += g3 * missed, resistance[k] = within(resistance[k] + g4 * missed, 0.2, 5.0);
        double s00 = p00[k] - g0 * c0, s11 = p11[k] - g1 * c1, s33 = p33[k] - g3 * c3, s44 = p44[k] - g4 * c4;
        s22 -= g2 * c2;
        p00[k] = s00 > least ? s00 : least, p11[k] = s11 > 1e-12 ? s11 : 1e-12, p22[k] = s22 > 1e-12 ? s22 : 1e-12;
        p33[k] = s33 > 1e-10 ? s33 : 1e-10, p44[k] = s44 > 1e-10 ? s44 : 1e-10;
        p01[k] = flush(p01[k] - g0 * c1, tiny), p02[k] = flush(p02[k] - g0 * c2, tiny);
        p03[k] = flush(p03[k] - g0 * c3, tiny), p04[k] = flush(p04[k] - g0 * c4, tiny);
        p12[k] = flush(p12[k] - g1 * c2, tiny), p13[k] = flush(p13[k] - g1 * c3, tiny);
        p14[k] = flush(p14[k] - g1 * c4, tiny), p23[k] = flush(p23[k] - g2 * c3, tiny);
        p24[k] = flush(p24[k] - g2 * c4, tiny), p34[k] = flush(p34[k] - g3 * c4, tiny);
        double leans = h0 * p0[k] + h1 * p1[k] + p2[k] + h4 * p4[k] + standing * m;
        p0[k] = flush(p0[k] - g0 * leans, tiny), p1[k] = flush(p1[k] - g1 * leans, tiny);
        p2[k] = flush(p2[k] - g2 * leans, tiny), p3[k] = flush(p3[k] - g3 * leans, tiny);
        p4[k] = flush(p4[k] - g4 * leans, tiny);
    }
}

/* Run over all times. `x` is (strings, STATES, cells), `p` (strings, COVARIANCES, cells), both changed in place; `work`
   is room for (ROWS + WORK_ROWS, cells); `soc` (times, strings, cells) is written. */
void replay(int times, int strings, int cells, int probes, const double *time_s, double dt_s, const double *cell_V,
            const double *probe_degC, const long long *probe_of_cell, const double *string_A, const double *bleed,
            const double *nodes, const double *degC_nodes, const Numbers *n, double *x, double *p, double *work,
            double *soc) {
    double *table = work, *around = work + (size_t)ROWS * cells, *degC = around + (size_t)DEGC * cells;
    for (int t = 0; t < times; t++) {
        if (t > 0) dt_s = time_s[t] - time_s[t - 1];
        for (int s = 0; s < strings; s++) {
            size_t row = (size_t)t * strings + s;
            double *xs = x + (size_t)s * STATES * cells, *ps = p + (size_t)s * COVARIANCES * cells;
            for (int k = 0; k < cells; k++) degC[k] = probe_degC[row * probes + probe_of_cell[k]];
            look_up(cells, nodes, xs, degC, n, table);
            look_up_degC(cells, degC_nodes, degC, n, table);
            count(cells, table, around, xs, ps, bleed + (size_t)s * cells, n, string_A[row], dt_s);
            look_up(cells, nodes, xs, degC, n, table);
            look_up_ocv(cells, nodes, around + ABOVE * (size_t)cells, degC, n, around + ABOVE_V * (size_t)cells);
            look_up_ocv(cells, nodes, around + BELOW * (size_t)cells, degC, n, around + BELOW_V * (size_t)cells);
            correct(cells, table, around, xs, ps, cell_V + row * cells, n, dt_s);
            for (int k = 0; k < cells; k++) soc[row * cells + k] = xs[k];
        }
    }
}
