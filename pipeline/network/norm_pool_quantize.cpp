// BatchNorm (training), max-pool by two and the activation quantizer in as few passes over memory
// as they need: two forward, two backward. Called by norm_pool_quantize.py, which says what each
// does; PyTorch's own operators are the reference that the tests compare with.
//
// A frame's samples lie one after the other with all their channels side by side, so the two
// samples that a pool compares are neighbours: `pairs` times 2 times `channels` floats.
// Sums are taken in float over BLOCK pairs, and in double over blocks and threads, always in the
// same order, so that a result depends on the number of threads but on nothing else.

#include <algorithm>
#include <cmath>
#include <vector>

namespace {

constexpr long BLOCK = 64;

// Calls body(first, last, sums) for blocks of rows; adds up the `count` float sums of each block.
template <typename Body>
void over_blocks(long rows, int threads, int count, double* totals, Body body) {
    const long blocks = (rows + BLOCK - 1) / BLOCK;
    std::vector<double> partial(static_cast<size_t>(threads) * count, 0.0);
#pragma omp parallel for num_threads(threads) schedule(static, 1)
    for (int thread = 0; thread < threads; ++thread) {
        std::vector<float> sums(count);
        double* mine = partial.data() + static_cast<size_t>(thread) * count;
        for (long block = blocks * thread / threads; block < blocks * (thread + 1) / threads; ++block) {
            std::fill(sums.begin(), sums.end(), 0.0f);
            body(block * BLOCK, std::min((block + 1) * BLOCK, rows), sums.data());
            for (int i = 0; i < count; ++i) mine[i] += sums[i];
        }
    }
    std::fill(totals, totals + count, 0.0);
    for (int thread = 0; thread < threads; ++thread)
        for (int i = 0; i < count; ++i) totals[i] += partial[static_cast<size_t>(thread) * count + i];
}

// Written so that NaN stays NaN: a training that diverges must be seen to.
inline float clipped(float code, float top) {
    return code < 0.0f ? 0.0f : (code > top ? top : code);
}

}  // namespace

extern "C" {

// totals: sum of x, then of x * x, of every channel
void moments(const float* x, long rows, int channels, int threads, double* totals) {
    over_blocks(rows, threads, 2 * channels, totals, [=](long first, long last, float* sums) {
        float* squares = sums + channels;
        for (long row = first; row < last; ++row) {
            const float* in = x + row * channels;
#pragma GCC ivdep
            for (int c = 0; c < channels; ++c) {
                sums[c] += in[c];
                squares[c] += in[c] * in[c];
            }
        }
    });
}

// out[c] = quantized max(a x + b) of each pair
void forward(const float* x, long pairs, int channels, int threads, const float* a, const float* b,
             float scale, float top, float* out) {
#pragma omp parallel for num_threads(threads) schedule(static)
    for (long pair = 0; pair < pairs; ++pair) {
        const float* even = x + 2 * pair * channels;
        const float* odd = even + channels;
        float* to = out + pair * channels;
#pragma GCC ivdep
        for (int c = 0; c < channels; ++c) {
            const float y0 = even[c] * a[c] + b[c];
            const float y1 = odd[c] * a[c] + b[c];
            to[c] = clipped(std::nearbyintf((y0 >= y1 ? y0 : y1) / scale), top) * scale;
        }
    }
}

// totals: sum over pairs of the gradient that passes, of it times the normalised x it belongs to,
// and of the gradient for the scale; of every channel
void backward_sums(const float* x, const float* grad, long pairs, int channels, int threads,
                   const float* a, const float* b, const float* mean, const float* invstd,
                   float scale, float top, double* totals) {
    over_blocks(pairs, threads, 3 * channels, totals, [=](long first, long last, float* passed) {
        float* passed_x = passed + channels;
        float* for_scale = passed_x + channels;
        for (long pair = first; pair < last; ++pair) {
            const float* even = x + 2 * pair * channels;
            const float* odd = even + channels;
            const float* g = grad + pair * channels;
#pragma GCC ivdep
            for (int c = 0; c < channels; ++c) {
                const float x0 = even[c], x1 = odd[c], gradient = g[c];
                const float y0 = x0 * a[c] + b[c], y1 = x1 * a[c] + b[c];
                const float winner = y0 >= y1 ? x0 : x1;
                const float steps = (y0 >= y1 ? y0 : y1) / scale;
                const float rounded = std::nearbyintf(steps);
                const float code = clipped(rounded, top);
                const float pass = code == rounded ? gradient : 0.0f;
                passed[c] += pass;
                passed_x[c] += pass * ((winner - mean[c]) * invstd[c]);
                for_scale[c] += gradient * code - pass * steps;
            }
        }
    });
}

// grad_x = a (passed - share - x_normalised * share_x), passed being 0 for what lost in the pool
void backward_input(const float* x, const float* grad, long pairs, int channels, int threads,
                    const float* a, const float* b, const float* mean, const float* invstd,
                    const float* share, const float* share_x, float scale, float top,
                    float* grad_x) {
#pragma omp parallel for num_threads(threads) schedule(static)
    for (long pair = 0; pair < pairs; ++pair) {
        const float* even = x + 2 * pair * channels;
        const float* odd = even + channels;
        const float* g = grad + pair * channels;
        float* to_even = grad_x + 2 * pair * channels;
        float* to_odd = to_even + channels;
#pragma GCC ivdep
        for (int c = 0; c < channels; ++c) {
            const float y0 = even[c] * a[c] + b[c];
            const float y1 = odd[c] * a[c] + b[c];
            const bool first_wins = y0 >= y1;
            const float rounded = std::nearbyintf((first_wins ? y0 : y1) / scale);
            const float pass = clipped(rounded, top) == rounded ? g[c] : 0.0f;
            const float n0 = (even[c] - mean[c]) * invstd[c] * share_x[c] + share[c];
            const float n1 = (odd[c] - mean[c]) * invstd[c] * share_x[c] + share[c];
            to_even[c] = a[c] * ((first_wins ? pass : 0.0f) - n0);
            to_odd[c] = a[c] * ((first_wins ? 0.0f : pass) - n1);
        }
    }
}

}  // extern "C"
