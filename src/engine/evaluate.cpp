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

// From so many tiles a thread on, one adjoint pass through the shared prefix saves more than its bookkeeping costs.
constexpr int64_t least_tiles_to_share = 2;

// A tape larger than this comes back from memory no faster than it is computed anew in the cache.
constexpr size_t most_tape_bytes = size_t(16) << 20;

std::string in_units(size_t bytes) {
    const double gib = double(bytes) / double(size_t(1) << 30);
    if (gib >= 1) return std::to_string(int64_t(gib * 10) / 10) + "." + std::to_string(int64_t(gib * 10) % 10) + " GiB";
    return std::to_string((bytes >> 20) + 1) + " MiB";
}

// Time of a tile for each amplitude, as fitted to measurements of gradients from 8 to 18 qubits (ns for three layers of
// runs, AVX-512 on a Zen 4 core; only ratios matter). Narrow tiles share overhead among fewer samples; batched states
// outgrow the cache from about 13 qubits on; a spread state has its angles and tables for itself; undoing kets costs
// time, and so does reading kept ones from memory.
double tile_cost(const ProgramView& view, int lanes, size_t bytes, const Storage& storage) {
    const double amplitudes = double(1u << view.num_qubits), state = double(bytes) / 8;
    double cost = 13 + 5900 / amplitudes;
    if (view.lane_bits == 0) cost = 11 * (lanes + 1.25) * (1 + std::clamp(amplitudes * lanes / 80e3 - 1, 0.0, 1.5));
    if (storage.mode == Mode::gradient_undoing_kets) cost *= 1.2;
    if (storage.mode == Mode::gradient_keeping_kets) cost *= 1 + std::clamp(state / 1e6 - 1, 0.0, 1.0);
    if (!storage.shares_prefix && view.prefix_layers > 0) cost *= 1.05;
    return cost;
}

// Ways of storing states, best first, for a thread that runs `tiles` tiles. A single tile shares nothing.
std::vector<Storage> storages(const ProgramView& view, Purpose purpose, int64_t tiles) {
    std::vector<Storage> found;
    const bool may_share = view.prefix_layers > 0 && tiles >= least_tiles_to_share;
    for (const bool shares : {true, false}) {
        if (shares && !may_share) continue;
        if (purpose == Purpose::values) {
            found.push_back({Mode::values, shares, false});
            continue;
        }
        found.push_back({Mode::gradient_keeping_kets, shares, false});
        found.push_back({Mode::gradient_undoing_kets, shares, false});
    }
    return found;
}

// Where the share of thread i of count begins: shares differ by at most one.
int64_t share(int64_t total, int i, int count) { return total * i / count; }

}  // namespace

void allow_layouts(Layouts layouts) { allowed_layouts.store(layouts); }

size_t memory_budget() { return budget().load(); }
void set_memory_budget(size_t bytes) { budget().store(bytes); }

template <class Real>
Schedule<Real> schedule(const Plan& plan, int64_t batch_size, int num_threads, Purpose purpose) {
    const auto [kernel, count] = kernels<Real>();
    const size_t limit = memory_budget();
    const bool may_absorb = purpose != Purpose::imaginary_gradient;
    Layouts allowed = allowed_layouts.load();
    if (allowed == Layouts::spread && std::none_of(kernel, kernel + count, [&](const auto& k) {
            return k.lane_bits > 0 && plan.view(k.lane_bits, may_absorb);
        }))
        allowed = Layouts::any;
    Schedule<Real> best{};
    double best_cost = std::numeric_limits<double>::infinity();
    size_t least_bytes = std::numeric_limits<size_t>::max();
    for (int i = 0; i < count; ++i) {
        const ProgramView* view = plan.view(kernel[i].lane_bits, may_absorb);
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
            for (const Storage storage : storages(*view, purpose, whole + (rest > 0))) {
                const size_t bytes = (kernel[i].scratch_bytes(*view, storage) + 63) / 64 * 64;
                least_bytes = std::min(least_bytes, bytes * size_t(threads));
                if (bytes * size_t(threads) > limit) continue;
                const double cost = double(whole) * tile_cost(*view, kernel[i].lanes, bytes, storage) +
                                    double(rest > 0) * tile_cost(*view, rest_kernel->lanes, bytes, storage);
                if (cost >= best_cost) continue;
                best_cost = cost;
                const size_t tape = storage.mode == Mode::gradient_keeping_kets
                                        ? kernel[i].ket_bytes(*view, {storage.mode, storage.shares_prefix, true})
                                        : 0;
                best = {&kernel[i], rest_kernel, view, samples, threads, storage, bytes * size_t(threads), 0};
                best.tape_bytes = tape * size_t(threads) * size_t(whole + (rest > 0));
            }
        }
    }
    if (best.kernel == nullptr)
        throw std::length_error("a circuit of " + std::to_string(plan.view().num_qubits) + " qubits needs " +
                                in_units(least_bytes) + " of scratch memory, but the budget is " + in_units(limit) +
                                "; raise it with set_memory_budget, use float32, or use fewer qubits");
    return best;
}

// Runs every sample of a batch: calls work(kernel, tile, first sample) for every tile, with all but its outputs set,
// and finish(kernel, tile, thread) after the last tile that used the scratch of a thread in its way.
template <class Real, class Work, class Finish>
void for_each_tile(const Schedule<Real>& how, const Batch<Real>& batch, const Tape<Real>* tape, Work work,
                   Finish finish) {
    const Scratch scratch(how.scratch_bytes);
    const int64_t most = (batch.size + how.num_threads - 1) / how.num_threads;
    const int64_t tiles = (most + how.samples - 1) / how.samples;  // of each thread
    run_in_parallel(how.num_threads, [&](int thread) {
        Tile<Real> tile{};
        tile.program = how.view;
        tile.weights = batch.weights;
        tile.storage = how.storage;
        tile.storage.kets_outside = tape != nullptr;
        tile.scratch = scratch.data() + how.scratch_bytes / size_t(how.num_threads) * size_t(thread);
        const Kernel<Real>* before = nullptr;
        const int64_t begin = share(batch.size, thread, how.num_threads);
        const int64_t end = share(batch.size, thread + 1, how.num_threads);
        for (int64_t sample = begin; sample < end; sample += tile.num_samples) {
            tile.num_samples = std::min<int64_t>(how.samples, end - sample);
            const bool is_rest = tile.num_samples < how.samples && tile.num_samples <= how.rest_kernel->lanes;
            const Kernel<Real>* kernel = is_rest ? how.rest_kernel : how.kernel;
            if (tape != nullptr) {
                const size_t number = size_t(thread * tiles + (sample - begin) / how.samples);
                tile.kets = tape->memory.data() + how.tape_bytes / size_t(how.num_threads * tiles) * number;
            }
            if (before != nullptr && kernel != before) finish(*before, tile, thread);
            tile.inputs = batch.inputs + sample * how.view->num_inputs;
            tile.first = kernel != before;
            before = kernel;
            work(*kernel, tile, thread, sample);
        }
        if (before != nullptr) finish(*before, tile, thread);
    });
}

template <class Real>
void run_values(const Schedule<Real>& how, const Batch<Real>& batch, const Tape<Real>* tape, Real* values) {
    for_each_tile(
        how, batch, tape,
        [&](const Kernel<Real>& kernel, Tile<Real>& tile, int, int64_t sample) {
            tile.values = values + sample * how.view->num_observables;
            kernel.values(tile);
        },
        [](const Kernel<Real>&, const Tile<Real>&, int) {});
}

template <class Real>
void values(const Plan& plan, const Batch<Real>& batch, Real* values) {
    if (batch.size == 0) return;
    run_values<Real>(schedule<Real>(plan, batch.size, batch.num_threads, Purpose::values), batch, nullptr, values);
}

template <class Real>
std::unique_ptr<Tape<Real>> record(const Plan& plan, const Batch<Real>& batch, Real* values) {
    if (batch.size == 0) return nullptr;
    const auto how = schedule<Real>(plan, batch.size, batch.num_threads, Purpose::gradient);
    if (how.tape_bytes == 0 || how.tape_bytes > most_tape_bytes || how.tape_bytes > memory_budget() / 4) {
        qtm::values(plan, batch, values);
        return nullptr;
    }
    std::unique_ptr<Tape<Real>> tape(new Tape<Real>{how, batch.size, Scratch(how.tape_bytes)});
    run_values<Real>(how, batch, tape.get(), values);
    return tape;
}

// What the tiles of every thread have left of the adjoint pass is one state, for which the prefix is done once.
template <class Real>
void prefix_gradient(const Plan& plan, const Batch<Real>& batch, const Wanted& wanted, std::vector<Real>& bras,
                     double* weight_gradient) {
    const size_t length = size_t(2) << plan.view().num_qubits;
    for (size_t i = length; i < bras.size(); ++i) bras[i % length] += bras[i];
    const auto [kernels_, count] = kernels<Real>();
    const Kernel<Real>* kernel = nullptr;
    for (const Kernel<Real>* one = kernels_; one < kernels_ + count; ++one)
        if (plan.view(one->lane_bits, true) != nullptr) kernel = one;  // the last one is spread
    Tile<Real> tile{};
    tile.program = plan.view(kernel->lane_bits, true);
    tile.weights = batch.weights;
    tile.inputs = batch.inputs;
    tile.num_samples = 1;
    tile.storage = {Mode::gradient_undoing_kets, false, false};
    const Scratch scratch(kernel->scratch_bytes(*tile.program, tile.storage));
    tile.scratch = scratch.data();
    tile.first = true;
    tile.wanted = &wanted;
    tile.prefix_bra = bras.data();
    tile.weight_gradient = weight_gradient;
    kernel->prefix_gradient(tile);
}

template <class Real>
void vector_jacobian_product(const Plan& plan, const Batch<Real>& batch, const Real* cotangent, Derivative derivative,
                             const uint8_t* wanted_variable, const Tape<Real>* tape, Real* input_gradient,
                             Real* weight_gradient) {
    const ProgramView& view = plan.view();
    const auto num_weights = size_t(view.num_weights);
    if (input_gradient != nullptr) std::fill(input_gradient, input_gradient + batch.size * view.num_inputs, Real(0));
    std::vector<double> sums;  // weight gradients of each thread
    if (batch.size > 0) {
        const auto selection = plan.select(wanted_variable, derivative);
        if (derivative == Derivative::imaginary) tape = nullptr;
        const auto purpose = derivative == Derivative::imaginary ? Purpose::imaginary_gradient : Purpose::gradient;
        const auto how = tape != nullptr ? tape->how : schedule<Real>(plan, batch.size, batch.num_threads, purpose);
        const bool has_prefix = how.storage.shares_prefix && selection.wanted.first_layer < view.prefix_layers;
        const size_t length = size_t(2) << view.num_qubits;
        std::vector<Real> bras(has_prefix ? size_t(how.num_threads) * length : 0);
        sums.assign(size_t(how.num_threads) * num_weights, 0.0);
        for_each_tile(
            how, batch, tape,
            [&](const Kernel<Real>& kernel, Tile<Real>& tile, int thread, int64_t sample) {
                tile.wanted = &selection.wanted;
                tile.derivative = derivative;
                tile.recorded = tape != nullptr;
                tile.cotangent = cotangent + sample * view.num_observables;
                if (weight_gradient != nullptr) tile.weight_gradient = sums.data() + size_t(thread) * num_weights;
                if (input_gradient != nullptr) tile.input_gradient = input_gradient + sample * view.num_inputs;
                kernel.vector_jacobian_product(tile);
            },
            [&](const Kernel<Real>& kernel, Tile<Real>& tile, int thread) {
                tile.prefix_bra = bras.data() + size_t(thread) * length;
                if (has_prefix) kernel.collect_prefix(tile);
            });
        if (has_prefix && num_weights > 0) prefix_gradient<Real>(plan, batch, selection.wanted, bras, sums.data());
    }
    if (weight_gradient == nullptr) return;
    for (size_t w = 0; w < num_weights; ++w) {
        double sum = 0;
        for (size_t at = w; at < sums.size(); at += num_weights) sum += sums[at];
        weight_gradient[w] = Real(sum);
    }
}

#define QTM_INSTANTIATE(Real)                                                                                       \
    template Schedule<Real> schedule<Real>(const Plan&, int64_t, int, Purpose);                                     \
    template void values(const Plan&, const Batch<Real>&, Real*);                                                   \
    template std::unique_ptr<Tape<Real>> record(const Plan&, const Batch<Real>&, Real*);                            \
    template void vector_jacobian_product(const Plan&, const Batch<Real>&, const Real*, Derivative, const uint8_t*, \
                                          const Tape<Real>*, Real*, Real*);
QTM_INSTANTIATE(float)
QTM_INSTANTIATE(double)
#undef QTM_INSTANTIATE

}  // namespace qtm
