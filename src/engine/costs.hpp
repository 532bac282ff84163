// The model of costs, as fitted to measurements: times for each amplitude, of which only ratios mean anything.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "dispatch.hpp"
#include "division.hpp"
#include "schedule.hpp"
#include "sweeps.hpp"
#include "tuning.hpp"

namespace qtm {

inline constexpr double most_penalty = 1.5;

// What a batched tile waits for memory beyond its work, to that, by the bytes of a ket.
inline double memory_penalty(double ket_bytes) {
    return std::clamp((ket_bytes - 256e3) / tuning_costs().bytes_of_penalty, 0.0, most_penalty);
}

// Narrower vectors of jets are those of an older instruction set: as many instructions for fewer samples, unless all
// wait for memory.
inline double older_vector(int widest, int lanes, double penalty) {
    return 1 + (double(widest) / lanes - 1) * (1 - penalty / most_penalty);
}

// Time of a tile for each amplitude, as fitted to measurements of training steps from 8 to 18 qubits (three layers of
// runs; AVX2 and AVX-512 on Zen 4, AVX-512 on Sapphire Rapids; only ratios within an instruction set matter). Narrow
// tiles share overhead among fewer samples; batched states outgrow the cache from 13 qubits on, and those of a team do
// not lie in the order of their sweeps; a spread state has its angles and tables, and its halves, for itself; undoing
// kets costs time, and so does reading kept ones from memory.
template <class Real>
double tile_cost(const ProgramView& view, const Kernel<Real>& kernel, size_t bytes, const Storage& storage) {
    const double amplitudes = double(1u << view.num_qubits), state = double(bytes) / 8;
    const int widest = kernels<Real>().first->lanes;
    const tuning::Costs& costs = tuning_costs();
    const bool is_several = storage.is_team && !view.is_unjoined && has_large_blocks(view.num_qubits, view.lane_bits);
    double cost = (is_several ? tuning::spread_of_team : tuning::spread) +
                  (view.half[0] != nullptr ? tuning::besides_of_halves : tuning::besides) / amplitudes;
    if (!kernel.is_single()) {
        const int samples = kernel.samples();
        const double kets = view.is_unjoined ? 2 * costs.unjoined * double(1u << view.half[1]->num_qubits) : amplitudes;
        const double ket_bytes = kets * samples * double(2 * sizeof(Real));
        const double penalty = memory_penalty(ket_bytes);
        cost = (storage.is_team ? tuning::lane_of_team : tuning::lane) * (samples + 1) * (1 + penalty);
        if (!kernel.is_batched())
            cost = tuning::mixed * cost + tuning::besides_of_mixed * kernel.lanes / amplitudes;
        else if (kernel.lanes < widest)
            cost *= is_jet<Real> ? older_vector(widest, kernel.lanes, penalty) : costs.half_vector;
    }
    // Without kets on a tape, a backward call runs all layers anew.
    const bool has_kets = storage.taped == Taped::all,
               is_deep = view.num_layers - view.absorbs >= tuning::least_deep_layers;
    if (storage.mode == Mode::gradient_undoing_kets)
        cost *= !has_kets ? tuning::undoes_all : is_deep ? tuning::undoes_deep : 1;
    if (storage.mode == Mode::gradient_keeping_kets)
        cost *= (has_kets ? tuning::keeps_on_tape : 1) * (1 + std::clamp(state / 1e6 - 1, 0.0, 1.0));
    if (view.half[0] != nullptr) {
        cost *= view.relative_cost;
    } else if (storage.shares_prefix) {
        // The first layer costs little forward, and nothing goes back before it.
        cost *= 1 - (view.prefix_layers - 0.75) / view.num_layers;
        // Its ket and the sum of the bras are two states more to go through the cache.
        cost *= 1 + std::clamp((double(bytes) - 9.5e6) / 15e6, 0.0, 0.25);
    }
    return cost;
}

// Time of the longest share of a thread, for each amplitude.
template <class Real>
double division_cost(const ProgramView& view, const Division<Real>& d, size_t bytes, const Storage& storage) {
    const double amplitudes = double(1u << view.num_qubits);
    const double cost = double(d.whole) * tile_cost<Real>(view, *d.kernel, bytes, storage) +
                        double(d.rest > 0) * tile_cost<Real>(view, *d.rest_kernel, bytes, storage);
    if (!d.is_team) return cost + (d.num_threads > 1 ? tuning::start * d.num_threads / amplitudes : 0);
    // Costs are for three layers.
    const double meetings = view.is_unjoined
                                ? tuning::meetings_of_gram * view.num_grams + 3
                                : 2.0 * view.layer_sweep_begin[view.num_layers] * 3 / std::max(1, view.num_layers) + 4;
    const double efficiency = storage.taped == Taped::all ? tuning::team_efficiency_with_kets : tuning::team_efficiency;
    // Two threads have a half each, and others none.
    const double of_halves = view.is_unjoined ? tuning::share_of_halves : 0;
    const double longest = of_halves / std::min(2, d.num_threads) + (1 - of_halves) / d.num_threads;
    return cost * longest / efficiency + double(d.tiles()) * meetings * tuning::meeting / amplitudes;
}

}  // namespace qtm
