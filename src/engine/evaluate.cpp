#include "evaluate.hpp"

#include <algorithm>
#include <atomic>
#include <limits>
#include <memory>
#include <stdexcept>

#include "dispatch.hpp"
#include "scratch.hpp"
#include "threads.hpp"

#if defined(_WIN32)
#include <windows.h>
#else
#include <unistd.h>
#endif

namespace qtm {
namespace {

size_t physical_memory() {
#if defined(_WIN32)
    MEMORYSTATUSEX status{};
    status.dwLength = sizeof(status);
    GlobalMemoryStatusEx(&status);
    return size_t(status.ullTotalPhys);
#else
    return size_t(sysconf(_SC_PHYS_PAGES)) * size_t(sysconf(_SC_PAGE_SIZE));
#endif
}

std::atomic<Layouts> allowed_layouts{Layouts::any};

std::atomic<size_t>& budget() {
    static std::atomic<size_t> bytes{physical_memory() / 2};
    return bytes;
}

template <class Real>
std::pair<const Kernel<Real>*, int> kernels() {
    const Implementation& chosen = implementation();
    if constexpr (sizeof(Real) == 4)
        return {chosen.float_kernels, chosen.num_float_kernels};
    else
        return {chosen.double_kernels, chosen.num_double_kernels};
}

// A thread pays off from about this many amplitude updates on; below, waking it costs more.
constexpr double least_work_per_thread = 4096;

int useful_threads(const Plan& plan, int64_t num_tiles, int num_threads) {
    const double updates = double(num_tiles) * double(plan.view().num_runs + 1) * double(1u << plan.view().num_qubits);
    const double most = std::min({double(num_threads), double(num_tiles), updates / least_work_per_thread});
    return std::max(1, int(most));
}

std::string in_units(size_t bytes) {
    const double gib = double(bytes) / double(size_t(1) << 30);
    if (gib >= 1) return std::to_string(int64_t(gib * 10) / 10) + "." + std::to_string(int64_t(gib * 10) % 10) + " GiB";
    return std::to_string((bytes >> 20) + 1) + " MiB";
}

// Relative time of a tile, fitted to measurements. A vector operation costs the same whatever the lanes hold, but wide
// vectors share overhead; a spread state is a fraction of the size, but angles and tables serve one sample only.
double tile_cost(const ProgramView& view, int lanes, size_t bytes, bool keeps_kets) {
    const double fits_cache = 1.0 + std::min(2.0, double(bytes) / double(size_t(4) << 20));
    const double undone = keeps_kets ? 1.0 : 1.3;
    if (view.lane_bits == 0) return (lanes + 3) * fits_cache * undone;
    return (lanes + 3) * fits_cache * undone * (1.5 / lanes + 40.0 / double(1u << view.num_qubits / 2) / lanes);
}

// The share of tile i of count, so that shares differ by at most one.
int64_t share(int64_t total, int i, int count) { return total * i / count; }

}  // namespace

void allow_layouts(Layouts layouts) { allowed_layouts.store(layouts); }

size_t memory_budget() { return budget().load(); }
void set_memory_budget(size_t bytes) { budget().store(bytes); }

template <class Real>
Schedule<Real> schedule(const Plan& plan, int64_t batch_size, int num_threads, bool gradient) {
    const auto [kernel, count] = kernels<Real>();
    const size_t limit = memory_budget();
    Layouts allowed = allowed_layouts.load();
    if (allowed == Layouts::spread &&
        std::none_of(kernel, kernel + count, [&](const auto& k) { return k.lane_bits > 0 && plan.view(k.lane_bits); }))
        allowed = Layouts::any;
    Schedule<Real> best{};
    double best_cost = std::numeric_limits<double>::infinity();
    size_t least_bytes = std::numeric_limits<size_t>::max();
    for (int i = 0; i < count; ++i) {
        const ProgramView* view = plan.view(kernel[i].lane_bits);
        if (view == nullptr) continue;
        if (allowed == (kernel[i].lane_bits > 0 ? Layouts::batched : Layouts::spread)) continue;
        const int samples = kernel[i].lane_bits > 0 ? 1 : kernel[i].lanes;
        const int64_t num_tiles = std::max<int64_t>(1, (batch_size + samples - 1) / samples);
        for (int threads = useful_threads(plan, num_tiles, num_threads); threads >= 1; --threads) {
            for (const bool keep : {true, false}) {
                const Mode mode = !gradient ? Mode::values
                                  : keep    ? Mode::gradient_keeping_kets
                                            : Mode::gradient_undoing_kets;
                const size_t bytes = (kernel[i].scratch_bytes(*view, mode) + 63) / 64 * 64 * size_t(threads);
                least_bytes = std::min(least_bytes, bytes);
                if (bytes > limit) continue;
                const double rounds = double((num_tiles + threads - 1) / threads);
                const double cost = rounds * tile_cost(*view, kernel[i].lanes, bytes / size_t(threads), keep);
                if (cost < best_cost) {
                    best_cost = cost;
                    best = {&kernel[i], view, samples, threads, num_tiles, mode, bytes};
                }
            }
        }
    }
    if (best.kernel == nullptr)
        throw std::length_error("a circuit of " + std::to_string(plan.view().num_qubits) + " qubits needs " +
                                in_units(least_bytes) + " of scratch memory, but the budget is " + in_units(limit) +
                                "; raise it with set_memory_budget, use float32, or use fewer qubits");
    return best;
}

template <class Real>
void values(const Plan& plan, const Batch<Real>& batch, Real* values) {
    if (batch.size == 0) return;
    const ProgramView& view = plan.view();
    const Schedule<Real> how = schedule<Real>(plan, batch.size, batch.num_threads, false);
    const Scratch scratch(how.scratch_bytes);
    run_in_parallel(how.num_threads, [&](int thread) {
        const int64_t begin = share(how.num_tiles, thread, how.num_threads);
        const int64_t end = share(how.num_tiles, thread + 1, how.num_threads);
        Tile<Real> tile{};
        tile.program = how.view;
        tile.weights = batch.weights;
        tile.mode = how.mode;
        tile.scratch = scratch.data() + how.scratch_bytes / size_t(how.num_threads) * size_t(thread);
        for (int64_t t = begin; t < end; ++t) {
            const int64_t sample = t * how.samples;
            tile.inputs = batch.inputs + sample * view.num_inputs;
            tile.num_samples = std::min<int64_t>(how.samples, batch.size - sample);
            tile.first = t == begin;
            tile.values = values + sample * view.num_observables;
            how.kernel->values(tile);
        }
    });
}

template <class Real>
void vector_jacobian_product(const Plan& plan, const Batch<Real>& batch, const Real* cotangent,
                             const uint8_t* wanted_variable, Real* input_gradient, Real* weight_gradient) {
    const ProgramView& view = plan.view();
    if (input_gradient != nullptr) std::fill(input_gradient, input_gradient + batch.size * view.num_inputs, Real(0));
    std::vector<double> sums;
    if (batch.size > 0) {
        const auto selection = plan.select(wanted_variable);
        const Schedule<Real> how = schedule<Real>(plan, batch.size, batch.num_threads, true);
        const Scratch scratch(how.scratch_bytes);
        sums.assign(size_t(how.num_threads) * size_t(view.num_weights), 0.0);
        run_in_parallel(how.num_threads, [&](int thread) {
            const int64_t begin = share(how.num_tiles, thread, how.num_threads);
            const int64_t end = share(how.num_tiles, thread + 1, how.num_threads);
            Tile<Real> tile{};
            tile.program = how.view;
            tile.weights = batch.weights;
            tile.mode = how.mode;
            tile.scratch = scratch.data() + how.scratch_bytes / size_t(how.num_threads) * size_t(thread);
            tile.wanted = &selection.wanted;
            if (weight_gradient != nullptr)
                tile.weight_gradient = sums.data() + size_t(thread) * size_t(view.num_weights);
            for (int64_t t = begin; t < end; ++t) {
                const int64_t sample = t * how.samples;
                tile.inputs = batch.inputs + sample * view.num_inputs;
                tile.num_samples = std::min<int64_t>(how.samples, batch.size - sample);
                tile.first = t == begin;
                tile.cotangent = cotangent + sample * view.num_observables;
                if (input_gradient != nullptr) tile.input_gradient = input_gradient + sample * view.num_inputs;
                how.kernel->vector_jacobian_product(tile);
            }
        });
    }
    if (weight_gradient == nullptr) return;
    for (int32_t w = 0; w < view.num_weights; ++w) {
        double sum = 0;
        for (size_t at = size_t(w); at < sums.size(); at += size_t(view.num_weights)) sum += sums[at];
        weight_gradient[w] = Real(sum);
    }
}

template Schedule<float> schedule<float>(const Plan&, int64_t, int, bool);
template Schedule<double> schedule<double>(const Plan&, int64_t, int, bool);
template void values(const Plan&, const Batch<float>&, float*);
template void values(const Plan&, const Batch<double>&, double*);
template void vector_jacobian_product(const Plan&, const Batch<float>&, const float*, const uint8_t*, float*, float*);
template void vector_jacobian_product(const Plan&, const Batch<double>&, const double*, const uint8_t*, double*,
                                      double*);

}  // namespace qtm
