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

// A thread pays off from about this many updates of amplitudes by a run on (some 10 us); below, waking it costs more.
constexpr double least_work_per_thread = 65536;

int useful_threads(const Plan& plan, int64_t batch_size, int num_threads) {
    const double updates = double(batch_size) * double(plan.view().num_runs + 1) * double(1u << plan.view().num_qubits);
    const double most = std::min({double(num_threads), double(batch_size), updates / least_work_per_thread});
    return std::max(1, int(most));
}

std::string in_units(size_t bytes) {
    const double gib = double(bytes) / double(size_t(1) << 30);
    if (gib >= 1) return std::to_string(int64_t(gib * 10) / 10) + "." + std::to_string(int64_t(gib * 10) % 10) + " GiB";
    return std::to_string((bytes >> 20) + 1) + " MiB";
}

// Time of a tile for each amplitude, as fitted to measurements of values and gradient from 4 to 20 qubits (ns for three
// layers of runs, AVX-512 on a Zen 4 core; only ratios matter). Narrow tiles share overhead among fewer samples;
// batched states outgrow the cache from about 12 qubits on; a spread state has its angles and tables for itself.
double tile_cost(const ProgramView& view, int lanes, size_t bytes, bool keeps_kets) {
    const double beyond_cache = std::clamp((double(bytes) - 1.2e6) / 2.9e6, 0.0, 2.0);
    const double undone = keeps_kets ? 1.0 : 1.3;
    if (view.lane_bits == 0) return 13.2 * (lanes + 3) * (1 + beyond_cache) * undone;
    return (24 + 7700.0 / double(1u << view.num_qubits)) * (1 + 0.1 * beyond_cache) * undone;
}

// Where the share of thread i of count begins: shares differ by at most one.
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
        for (int threads = useful_threads(plan, batch_size, num_threads); threads >= 1; --threads) {
            // The longest share of a thread: whole tiles, and a rest in the narrowest kernel that holds it.
            const int64_t share = std::max<int64_t>(1, (batch_size + threads - 1) / threads);
            const int64_t whole = share / samples, rest = share % samples;
            const Kernel<Real>* rest_kernel = &kernel[i];
            for (int other = 0; other < count; ++other)
                if (kernel[other].lane_bits == 0 && kernel[other].lanes >= rest &&
                    kernel[other].lanes < rest_kernel->lanes)
                    rest_kernel = &kernel[other];
            for (const bool keep : {true, false}) {
                const Mode mode = !gradient ? Mode::values
                                  : keep    ? Mode::gradient_keeping_kets
                                            : Mode::gradient_undoing_kets;
                const size_t bytes = (kernel[i].scratch_bytes(*view, mode) + 63) / 64 * 64;
                least_bytes = std::min(least_bytes, bytes * size_t(threads));
                if (bytes * size_t(threads) > limit) continue;
                const double cost = double(whole) * tile_cost(*view, kernel[i].lanes, bytes, keep) +
                                    double(rest > 0) * tile_cost(*view, rest_kernel->lanes, bytes, keep);
                if (cost < best_cost) {
                    best_cost = cost;
                    best = {&kernel[i], rest_kernel, view, samples, threads, mode, bytes * size_t(threads)};
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

// Runs every sample of a batch: calls work(kernel, tile, first sample) for every tile, with all but its outputs set.
template <class Real, class Work>
void for_each_tile(const Schedule<Real>& how, const Batch<Real>& batch, Work work) {
    const Scratch scratch(how.scratch_bytes);
    run_in_parallel(how.num_threads, [&](int thread) {
        Tile<Real> tile{};
        tile.program = how.view;
        tile.weights = batch.weights;
        tile.mode = how.mode;
        tile.scratch = scratch.data() + how.scratch_bytes / size_t(how.num_threads) * size_t(thread);
        const Kernel<Real>* before = nullptr;
        const int64_t end = share(batch.size, thread + 1, how.num_threads);
        for (int64_t sample = share(batch.size, thread, how.num_threads); sample < end; sample += tile.num_samples) {
            tile.num_samples = std::min<int64_t>(how.samples, end - sample);
            const bool is_rest = tile.num_samples < how.samples && tile.num_samples <= how.rest_kernel->lanes;
            const Kernel<Real>* kernel = is_rest ? how.rest_kernel : how.kernel;
            tile.inputs = batch.inputs + sample * how.view->num_inputs;
            tile.first = kernel != before;
            before = kernel;
            work(*kernel, tile, thread, sample);
        }
    });
}

template <class Real>
void values(const Plan& plan, const Batch<Real>& batch, Real* values) {
    if (batch.size == 0) return;
    const auto how = schedule<Real>(plan, batch.size, batch.num_threads, false);
    for_each_tile(how, batch, [&](const Kernel<Real>& kernel, Tile<Real>& tile, int, int64_t sample) {
        tile.values = values + sample * how.view->num_observables;
        kernel.values(tile);
    });
}

template <class Real>
void vector_jacobian_product(const Plan& plan, const Batch<Real>& batch, const Real* cotangent, Derivative derivative,
                             const uint8_t* wanted_variable, Real* input_gradient, Real* weight_gradient) {
    const ProgramView& view = plan.view();
    const auto num_weights = size_t(view.num_weights);
    if (input_gradient != nullptr) std::fill(input_gradient, input_gradient + batch.size * view.num_inputs, Real(0));
    std::vector<double> sums;  // weight gradients of each thread
    if (batch.size > 0) {
        const auto selection = plan.select(wanted_variable, derivative);
        const auto how = schedule<Real>(plan, batch.size, batch.num_threads, true);
        sums.assign(size_t(how.num_threads) * num_weights, 0.0);
        for_each_tile(how, batch, [&](const Kernel<Real>& kernel, Tile<Real>& tile, int thread, int64_t sample) {
            tile.wanted = &selection.wanted;
            tile.derivative = derivative;
            tile.cotangent = cotangent + sample * view.num_observables;
            if (weight_gradient != nullptr) tile.weight_gradient = sums.data() + size_t(thread) * num_weights;
            if (input_gradient != nullptr) tile.input_gradient = input_gradient + sample * view.num_inputs;
            kernel.vector_jacobian_product(tile);
        });
    }
    if (weight_gradient == nullptr) return;
    for (size_t w = 0; w < num_weights; ++w) {
        double sum = 0;
        for (size_t at = w; at < sums.size(); at += num_weights) sum += sums[at];
        weight_gradient[w] = Real(sum);
    }
}

template Schedule<float> schedule<float>(const Plan&, int64_t, int, bool);
template Schedule<double> schedule<double>(const Plan&, int64_t, int, bool);
template void values(const Plan&, const Batch<float>&, float*);
template void values(const Plan&, const Batch<double>&, double*);
template void vector_jacobian_product(const Plan&, const Batch<float>&, const float*, Derivative, const uint8_t*,
                                      float*, float*);
template void vector_jacobian_product(const Plan&, const Batch<double>&, const double*, Derivative, const uint8_t*,
                                      double*, double*);

}  // namespace qtm
