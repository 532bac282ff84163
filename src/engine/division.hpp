// How the samples of a batch become tiles, and who evaluates them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "schedule.hpp"
#include "tuning.hpp"

namespace qtm {

template <class Real>
struct Division {
    const Kernel<Real>* kernel;
    const Kernel<Real>* rest_kernel;
    int samples, num_threads;
    bool is_team;
    int64_t whole, rest;  // tiles of the longest share of a thread, and samples in a last one that is not full

    int64_t tiles() const { return whole + (rest > 0); }
};

// Pieces of a share. They depend on nothing but the way a batch is run, so that sums do not depend on who claims them.
template <class Real>
int64_t pieces_of_share(const Division<Real>& d, const Storage& storage) {
    if (d.is_team || d.num_threads == 1) return 1;
    const int64_t samples = d.tiles() * d.samples;
    const int64_t most = storage.shares_prefix ? samples / tuning::least_samples_of_bras : samples;
    return std::clamp<int64_t>(std::min(d.tiles(), most), 1, tuning::most_pieces);
}

// All divisions for one kernel: threads with tiles of their own, or a team that works on one tile after the other. A
// rest goes to the same kernel, or to one for fewer samples.
template <class Real>
std::vector<Division<Real>> divisions(const Kernel<Real>* kernel, int64_t batch_size, int num_threads, int team_size) {
    const auto [first, count] = kernels<Real>();
    const int samples = kernel->samples();
    std::vector<Division<Real>> found;
    const auto add = [&](int threads, bool is_team) {
        const int64_t share = is_team ? batch_size : (batch_size + threads - 1) / threads;
        Division<Real> d{kernel, kernel, samples, threads, is_team, share / samples, share % samples};
        found.push_back(d);
        if (is_team || d.whole == 0 || d.rest == 0) return;
        for (const Kernel<Real>* other = first; other < first + count; ++other) {
            if (other->samples() < d.rest || other->samples() >= samples) continue;
            d.rest_kernel = other;
            found.push_back(d);
        }
    };
    for (int threads = num_threads; threads >= 1; --threads) add(threads, false);
    if (team_size > 1) add(team_size, true);
    return found;
}

}  // namespace qtm
