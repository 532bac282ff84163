#include "evaluate.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <limits>
#include <memory>
#include <stdexcept>

#include "claims.hpp"
#include "dispatch.hpp"
#include "memory.hpp"
#include "processors.hpp"
#include "scratch.hpp"
#include "threads.hpp"

namespace qtm {

template <class Real>
std::pair<const Kernel<Real>*, int> kernels() {
    const Implementation& chosen = implementation();
    if constexpr (sizeof(Real) == 4)
        return {chosen.float_kernels, chosen.num_float_kernels};
    else
        return {chosen.double_kernels, chosen.num_double_kernels};
}

namespace {

// Bytes as a reader wants them.
std::string in_units(size_t bytes) {
    if (bytes < 1024) return std::to_string(bytes) + " B";
    double value = double(bytes);
    const char* prefix = "KMGTPE";
    for (value /= 1024; value >= 1024; value /= 1024) ++prefix;
    const auto tenths = int64_t(value * 10);
    return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " " + *prefix + "iB";
}

}  // namespace

std::string over_budget_text(const std::string& what, size_t bytes, size_t budget, bool is_single) {
    std::string needed = in_units(bytes), allowed = in_units(budget);
    if (needed == allowed) needed = std::to_string(bytes) + " B", allowed = std::to_string(budget) + " B";
    return what + " needs " + needed + " of memory, but the budget is " + allowed +
           "; raise it with set_memory_budget, " + (is_single ? "" : "use float32, which takes half of it, ") +
           "or use fewer qubits";
}

namespace {

std::atomic<Layouts> permitted_layouts{Layouts::any};
std::atomic<bool> forces_halves{false};

// A thread pays off from about this many updates of amplitudes by a run on (some 10 us); below, waking it costs more.
constexpr double least_work_per_thread = 65536;

// Threads share one state where each has at least so many amplitudes of it.
constexpr unsigned least_amplitudes_per_thread = 2048;

int useful_threads(const Plan& plan, int64_t batch_size, int num_threads) {
    const double updates = double(batch_size) * double(plan.view().num_runs + 1) * double(1u << plan.view().num_qubits);
    const double most = std::min({double(num_threads), double(batch_size), updates / least_work_per_thread});
    return std::max(1, int(most));
}

// From so many tiles a thread on, one adjoint pass through the shared prefix saves more than its bookkeeping costs.
constexpr int64_t least_tiles_to_share = 2;

// A tape larger than this comes back from memory no faster than it is computed anew in the cache; without kets it may
// still be worth it.
constexpr size_t most_tape_bytes = size_t(16) << 20;

// The last ket of a large state, though, where kets are undone, may take this share of the budget: to run all layers
// anew takes longer than to read it, from memory or not.
constexpr size_t least_large_ket = size_t(512) << 10, ket_share = 8;

// Threads that may share one state.
int useful_team(const Plan& plan, int num_threads) {
    return useful_threads(plan, std::numeric_limits<int32_t>::max(), num_threads) < num_threads
               ? 1
               : std::min(num_threads, int((1u << plan.view().num_qubits) / least_amplitudes_per_thread));
}

// Time of a tile for each amplitude, as fitted to measurements of training steps from 8 to 18 qubits (three layers of
// runs; AVX2 and AVX-512 on Zen 4, AVX-512 on Sapphire Rapids; only ratios within an instruction set matter). Narrow
// tiles share overhead among fewer samples; batched states outgrow the cache from 13 qubits on, and those of a team do
// not lie in the order of their sweeps; a spread state has its angles and tables, and its halves, for itself; undoing
// kets costs time, and so does reading kept ones from memory.
template <class Real>
double tile_cost(const ProgramView& view, int lanes, size_t bytes, const Storage& storage) {
    const double amplitudes = double(1u << view.num_qubits), state = double(bytes) / 8;
    const int widest = kernels<Real>().first->lanes;
    const bool is_fast = outruns_caches();
    double cost = 13 + (view.half[0] != nullptr ? 8400 : 5900) / amplitudes;
    if (view.lane_bits == 0) {
        const double ket_bytes = amplitudes * lanes * double(2 * sizeof(Real));
        // Fast vectors wait longer for what lies behind their cache, and do less when half full.
        const double penalty = std::clamp((ket_bytes - 256e3) / (is_fast ? 1.2e6 : 2.5e6), 0.0, 1.5);
        cost = (storage.is_team ? 9.75 : 7) * (lanes + 1) * (1 + penalty);
        if (lanes < widest) cost *= is_fast ? 1.2 : 1.06;
    }
    // Without kets on a tape, a backward call runs all layers anew.
    const bool has_kets = storage.taped == Taped::all, is_deep = view.num_layers - view.absorbs > 3;
    if (storage.mode == Mode::gradient_undoing_kets) cost *= !has_kets ? 1.2 : is_deep ? 0.88 : 1;
    if (storage.mode == Mode::gradient_keeping_kets)
        cost *= (has_kets ? 0.86 : 1) * (1 + std::clamp(state / 1e6 - 1, 0.0, 1.0));
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

// Ways of storing states, best first, for a thread that runs `tiles` tiles. A single tile shares nothing.
std::vector<Storage> storages(const ProgramView& view, Purpose purpose, int64_t tiles, bool is_team) {
    std::vector<Storage> found;
    const bool may_share = prefix_layers(view) > 0 && tiles >= least_tiles_to_share && !is_team;
    for (const bool shares : {true, false}) {
        if (shares && !may_share) continue;
        if (purpose == Purpose::values) {
            found.push_back({Mode::values, shares, Taped::nothing, is_team});
            continue;
        }
        found.push_back({Mode::gradient_keeping_kets, shares, Taped::nothing, is_team});
        found.push_back({Mode::gradient_undoing_kets, shares, Taped::nothing, is_team});
    }
    return found;
}

// The one state of the shared prefix goes through a kernel of its own: spread, where the circuit allows it.
constexpr Storage prefix_storage{Mode::gradient_undoing_kets, false, Taped::nothing, false};

template <class Real>
const Kernel<Real>* prefix_kernel(const Plan& plan) {
    const auto [first, count] = kernels<Real>();
    const Kernel<Real>* found = nullptr;
    for (const Kernel<Real>* one = first; one < first + count; ++one)
        if (plan.view(one->lane_bits, true, false) != nullptr) found = one;  // the last one is spread
    return found;
}

// The plans whose prefix a batch shares: the circuit, or its halves.
std::vector<const Plan*> prefix_plans(const Plan& plan) {
    if (plan.half(0) == nullptr) return {&plan};
    return {plan.half(0), plan.half(1)};
}

// The bras of the plans above, one after the other: numbers.
size_t prefix_length(const Plan& plan) {
    size_t length = 0;
    for (const Plan* one : prefix_plans(plan)) length += size_t(2) << one->view().num_qubits;
    return length;
}

// What the adjoint pass through a shared prefix takes: bras of each piece, and the scratch of its kernel.
template <class Real>
size_t prefix_bytes(const Plan& plan, const Storage& storage, int64_t pieces) {
    if (!storage.shares_prefix || storage.mode == Mode::values) return 0;
    size_t bytes = 0;
    for (const Plan* one : prefix_plans(plan)) {
        const Kernel<Real>* kernel = prefix_kernel<Real>(*one);
        bytes = std::max(bytes, kernel->scratch_bytes(*one->view(kernel->lane_bits, true, false), prefix_storage));
    }
    return bytes + prefix_length(plan) * sizeof(Real) * size_t(pieces);
}

// How the samples of a batch become tiles, and who evaluates them.
template <class Real>
struct Division {
    const Kernel<Real>* kernel;
    const Kernel<Real>* rest_kernel;
    int samples, num_threads;
    bool is_team;
    int64_t whole, rest;  // tiles of the longest share of a thread, and samples in a last one that is not full

    int64_t tiles() const { return whole + (rest > 0); }
};

// A share is claimed in so many pieces at most, and of so many tiles at least where each has bras of its own.
constexpr int64_t most_pieces = 4, least_tiles_of_bras = 4;

// Pieces of a share. They depend on nothing but the way a batch is run, so that sums do not depend on who claims them.
template <class Real>
int64_t pieces_of_share(const Division<Real>& d, const Storage& storage) {
    if (d.is_team || d.num_threads == 1) return 1;
    return std::clamp<int64_t>(storage.shares_prefix ? d.tiles() / least_tiles_of_bras : d.tiles(), 1, most_pieces);
}

// All divisions for one kernel: threads with tiles of their own, or a team that works on one tile after the other.
template <class Real>
std::vector<Division<Real>> divisions(const Kernel<Real>* kernel, int64_t batch_size, int num_threads, int team_size) {
    const auto [first, count] = kernels<Real>();
    const int samples = kernel->lane_bits > 0 ? 1 : kernel->lanes;
    std::vector<Division<Real>> found;
    const auto add = [&](int threads, bool is_team) {
        const int64_t share = is_team ? batch_size : (batch_size + threads - 1) / threads;
        Division<Real> d{kernel, kernel, samples, threads, is_team, share / samples, share % samples};
        // A rest goes to the narrowest kernel that holds it.
        for (const Kernel<Real>* other = first; other < first + count; ++other)
            if (other->lane_bits == 0 && other->lanes >= d.rest && other->lanes < d.rest_kernel->lanes)
                d.rest_kernel = other;
        if (is_team) d.rest_kernel = kernel;
        found.push_back(d);
    };
    for (int threads = num_threads; threads >= 1; --threads) add(threads, false);
    if (team_size > 1) add(team_size, true);
    return found;
}

// What it costs to start a thread and to meet in a team (ns), and the share of its time that a team works; with kets on
// a tape there is no forward pass in a backward call, and fewer meetings.
constexpr double start = 2000, meeting = 2000, team_efficiency = 0.85, team_efficiency_with_kets = 0.93;

// Time of the longest share of a thread, for each amplitude.
template <class Real>
double division_cost(const ProgramView& view, const Division<Real>& d, size_t bytes, const Storage& storage) {
    const double amplitudes = double(1u << view.num_qubits);
    const double cost = double(d.whole) * tile_cost<Real>(view, d.kernel->lanes, bytes, storage) +
                        double(d.rest > 0) * tile_cost<Real>(view, d.rest_kernel->lanes, bytes, storage);
    if (!d.is_team) return cost + (d.num_threads > 1 ? start * d.num_threads / amplitudes : 0);
    // Costs are for three layers.
    const double meetings = 2.0 * view.layer_sweep_begin[view.num_layers] * 3 / std::max(1, view.num_layers) + 4;
    const double efficiency = storage.taped == Taped::all ? team_efficiency_with_kets : team_efficiency;
    return cost / (d.num_threads * efficiency) + double(d.tiles()) * meetings * meeting / amplitudes;
}

// What a forward call keeps for the backward call: as much as fits the limits.
template <class Real>
void choose_tape(Schedule<Real>& how, size_t budget) {
    if (how.storage.mode == Mode::values) return;
    const bool is_large = !how.view->in_order && 2 * sizeof(Real) << how.view->num_qubits >= least_large_ket;
    for (const Taped taped : {Taped::all_but_kets, Taped::all}) {
        Storage storage = how.storage;
        storage.taped = taped;
        const size_t shared = how.kernel->shared_tape_bytes(*how.view, storage);
        const size_t own = how.kernel->tape_bytes(*how.view, storage) * size_t(how.num_threads);
        const size_t bytes = (own + shared) * size_t(how.tiles);
        const bool is_last_ket = taped == Taped::all && storage.mode == Mode::gradient_undoing_kets;
        if (bytes > (is_last_ket && is_large ? budget / ket_share : std::min(most_tape_bytes, budget / 4))) continue;
        how.storage.taped = taped;
        how.tape_bytes = bytes;
        how.shared_tape_bytes = shared;
    }
}

// All that a schedule depends on.
struct Question {
    uint64_t plan = 0;  // no plan has this number
    int64_t batch_size = 0;
    int num_threads = 0;
    Purpose purpose{};
    Layouts allowed{};
    bool forces_halves = false;
    size_t limit = 0;
    const Implementation* implementation = nullptr;

    bool operator==(const Question&) const = default;
};

// The best way found so far to run a batch.
template <class Real>
struct Best {
    Schedule<Real> how{};
    double cost = std::numeric_limits<double>::infinity();
    size_t least_bytes = std::numeric_limits<size_t>::max();  // of all ways
};

bool allows_absorption(Purpose purpose) { return purpose != Purpose::imaginary_gradient; }

// All ways to run a batch of one plan.
template <class Real>
void consider(Best<Real>& best, const Plan& plan, const Question& asked, Layouts allowed) {
    const auto [kernel, count] = kernels<Real>();
    const bool may_absorb = allows_absorption(asked.purpose);
    const int threads = useful_threads(plan, asked.batch_size, asked.num_threads),
              team = useful_team(plan, asked.num_threads);
    for (const Kernel<Real>* one = kernel; one < kernel + count; ++one) {
        if (allowed == (one->lane_bits > 0 ? Layouts::batched : Layouts::spread)) continue;
        const ProgramView* view_alone = plan.view(one->lane_bits, may_absorb, false);
        if (view_alone == nullptr) continue;
        const ProgramView* view_of_team = team > 1 ? plan.view(one->lane_bits, may_absorb, true) : nullptr;
        for (const Division<Real>& d : divisions(one, asked.batch_size, threads, team)) {
            const ProgramView* view = d.is_team ? view_of_team : view_alone;
            for (const Storage& storage : storages(*view, asked.purpose, d.tiles(), d.is_team)) {
                const size_t bytes = (one->scratch_bytes(*view, storage) + 63) / 64 * 64;
                const size_t shared = one->shared_bytes(*view, storage);
                const int64_t pieces = pieces_of_share(d, storage);
                const size_t prefix = prefix_bytes<Real>(plan, storage, pieces * d.num_threads);
                const size_t all = bytes * size_t(d.num_threads) + shared + prefix;
                best.least_bytes = std::min(best.least_bytes, all);
                if (all > asked.limit) continue;
                Schedule<Real> how{one,           d.rest_kernel, &plan,  view,    d.samples,
                                   d.num_threads, d.tiles(),     pieces, storage, bytes,
                                   shared,        prefix,        0,      0};
                if (asked.purpose == Purpose::recorded_gradient) choose_tape(how, asked.limit);
                const double cost = division_cost(*view, d, bytes + shared, how.storage);
                if (cost >= best.cost) continue;
                best.cost = cost;
                best.how = how;
            }
        }
    }
}

template <class Real>
Schedule<Real> answer(const Plan& plan, const Question& asked) {
    const auto [kernel, count] = kernels<Real>();
    const bool may_absorb = allows_absorption(asked.purpose);
    Layouts allowed = asked.allowed;
    if (allowed == Layouts::spread && std::none_of(kernel, kernel + count, [&](const auto& k) {
            return k.lane_bits > 0 && plan.view(k.lane_bits, may_absorb, false);
        }))
        allowed = Layouts::any;
    Best<Real> best;
    const Plan* halved = plan.halved();
    if (halved != nullptr) consider(best, *halved, asked, allowed);
    if (best.how.kernel == nullptr || !asked.forces_halves) consider(best, plan, asked, allowed);
    if (best.how.kernel == nullptr)
        throw over_budget<Real>("a circuit of " + std::to_string(plan.view().num_qubits) + " qubits", best.least_bytes,
                                asked.limit);
    return best.how;
}

// Where the share of thread i of count begins: shares differ by at most one.
int64_t share(int64_t total, int64_t i, int64_t count) { return total * i / count; }

}  // namespace

void allow_layouts(Layouts layouts) { permitted_layouts.store(layouts); }
Layouts allowed_layouts() { return permitted_layouts.load(); }

int prefix_layers(const ProgramView& view) {
    if (view.half[0] == nullptr) return view.prefix_layers;
    return std::max(view.half[0]->prefix_layers, view.half[1]->prefix_layers);
}

void force_halves(bool forces) { forces_halves.store(forces); }

namespace {

template <class Real>
Schedule<Real> schedule_within(size_t limit, const Plan& plan, int64_t batch_size, int num_threads, Purpose purpose) {
    // To try all ways takes some 10 us; a training loop asks for the same few again and again.
    struct Known {
        Question asked;
        Schedule<Real> how{};
    };
    thread_local std::array<Known, 8> known;
    thread_local size_t next = 0;
    const Question asked{plan.number(),     batch_size,           num_threads, purpose,
                         allowed_layouts(), forces_halves.load(), limit,       &implementation()};
    for (const Known& one : known)
        if (one.asked == asked) return one.how;
    known[next] = {asked, answer<Real>(plan, asked)};
    const Schedule<Real>& found = known[next].how;
    next = (next + 1) % known.size();
    return found;
}

}  // namespace

template <class Real>
Schedule<Real> schedule(const Plan& plan, int64_t batch_size, int num_threads, Purpose purpose) {
    return within_budget(
        [&](size_t limit) { return schedule_within<Real>(limit, plan, batch_size, num_threads, purpose); },
        [](const Schedule<Real>& how) {
            return how.scratch_bytes * size_t(how.num_threads) + how.shared_bytes + how.prefix_bytes + how.tape_bytes;
        });
}

namespace {

// How a call will be run: by no more threads than processors, and by a team only as large as was worth it lately.
template <class Real>
Schedule<Real> schedule_of_call(const Plan& plan, const Batch<Real>& batch, Purpose purpose) {
    const auto how = schedule<Real>(plan, batch.size, batch.num_threads, purpose);
    if (how.num_threads == 1 || batch.is_fixed) return how;
    int most = usable_threads(how.num_threads);
    if (how.storage.is_team) most = worthwhile_threads(most);
    return most < how.num_threads ? schedule<Real>(plan, batch.size, most, purpose) : how;
}

// How long a team waits for members (ns): for a small part of the time that it takes; no less than to wake them.
template <class Real>
std::chrono::nanoseconds patience(const Schedule<Real>& how, int64_t batch_size) {
    const double updates = double(batch_size) * double(how.view->num_runs + 1) * double(1u << how.view->num_qubits);
    return std::chrono::nanoseconds(int64_t(std::clamp(updates / 50, 100e3, 10e6)));
}

}  // namespace

// Runs every sample of a batch: calls work(kernel, tile, part, first sample) for every tile, with all but its outputs
// set. A part is a piece of the batch, or, in a team, where every thread gets every tile, the rank of the thread: what
// is added up is added up for each part.
template <class Real, class Work>
class Tiles {
   public:
    Tiles(const Schedule<Real>& how, const Batch<Real>& batch, const Tape<Real>* tape, Work work)
        : how_(how),
          batch_(batch),
          tape_(tape),
          work_(work),
          scratch_(how.scratch_bytes * size_t(how.num_threads) + how.shared_bytes),
          claims_(how.storage.is_team ? 0 : how.num_threads, how.pieces),
          is_recorded_(tape != nullptr && tape->team_size > 0) {}

    // Nothing is run (size 0) where the members of a team did not come, or fewer than have written the tape.
    TeamResult run() {
        if (how_.storage.is_team) {
            const int size = is_recorded_ ? tape_->team_size : how_.num_threads;
            const TeamSize wanted{size, is_recorded_ || batch_.is_fixed ? size : 2, batch_.is_fixed,
                                  patience(how_, batch_.size)};
            return run_as_team(wanted, [&](const Team& team) { run_as_member(team); });
        }
        run_in_parallel(how_.num_threads, claims_.total(), [&](int thread) { return run_pieces(thread); });
        return {1, 1};
    }

   private:
    // The next tiles of a thread, or of a member of a team.
    struct Worker {
        Tile<Real> tile{};
        const Kernel<Real>* before = nullptr;
    };
    Worker worker(int thread, const Team& team) {
        Worker found;
        Tile<Real>& tile = found.tile;
        tile.program = how_.view;
        tile.weights = batch_.weights;
        tile.storage = how_.storage;
        if (tape_ == nullptr) tile.storage.taped = Taped::nothing;
        tile.recorded = is_recorded_;
        tile.scratch = scratch_.data() + how_.scratch_bytes * size_t(thread);
        tile.shared = scratch_.data() + how_.scratch_bytes * size_t(how_.num_threads);
        tile.team = team;
        return found;
    }

    void run_as_member(const Team& team) {
        Worker own = worker(team.rank, team);
        // What a member saw before it left goes into the gradients of every tile on the tape.
        for (int64_t tile = 0; tile < how_.tiles && (is_recorded_ || !team.has_left()); ++tile) {
            run_tile(own, team.rank, tile, 0, batch_.size, team.rank);
            team.meet();
        }
    }

    // Returns how many pieces there were for this thread.
    int64_t run_pieces(int thread) {
        Worker own = worker(thread, {});
        int64_t count = 0;
        for (int64_t piece = claims_.claim(thread); piece >= 0; piece = claims_.claim(thread), ++count) {
            const int64_t owner = piece / how_.pieces, number = piece % how_.pieces;
            const int64_t begin = share(batch_.size, owner, how_.num_threads),
                          end = share(batch_.size, owner + 1, how_.num_threads);
            const int64_t tiles = (end - begin + how_.samples - 1) / how_.samples;
            for (int64_t tile = share(tiles, number, how_.pieces); tile < share(tiles, number + 1, how_.pieces); ++tile)
                run_tile(own, owner, tile, begin, end, piece);
        }
        return count;
    }

    // A tile of the share from sample `begin` to `end` that belongs to thread `owner`.
    void run_tile(Worker& own, int64_t owner, int64_t number, int64_t begin, int64_t end, int64_t part) {
        Tile<Real>& tile = own.tile;
        const int64_t sample = begin + number * how_.samples;
        tile.num_samples = std::min<int64_t>(how_.samples, end - sample);
        const bool is_rest = tile.num_samples < how_.samples && tile.num_samples <= how_.rest_kernel->lanes;
        const Kernel<Real>* kernel = is_rest ? how_.rest_kernel : how_.kernel;
        if (tape_ != nullptr) {
            tile.tape = tape_of(owner, number);
            tile.shared_tape = shared_tape_of(number);
        }
        tile.inputs = batch_.inputs + sample * how_.view->num_inputs;
        tile.first = kernel != own.before;
        if (tile.first) tile.first_tape = tile.tape;
        own.before = kernel;
        work_(*kernel, tile, part, sample);
    }

    // Every thread has room on the tape for as many tiles as the longest share has.
    char* tape_of(int64_t thread, int64_t number) const {
        const size_t all = how_.tape_bytes / size_t(how_.tiles),
                     bytes = (all - how_.shared_tape_bytes) / size_t(how_.num_threads);
        return shared_tape_of(how_.tiles) + bytes * size_t(thread * how_.tiles + number);
    }
    // What a team shares comes first.
    char* shared_tape_of(int64_t number) const {
        return tape_->memory.data() + how_.shared_tape_bytes * size_t(number);
    }

    const Schedule<Real>& how_;
    const Batch<Real>& batch_;
    const Tape<Real>* tape_;
    Work work_;
    const Scratch scratch_;
    Claims claims_;
    const bool is_recorded_;  // the tape holds what the forward call has seen
};

// In a team, every thread has `count` numbers of its own, which are added up at the end; otherwise all share them.
template <class Real>
class Outputs {
   public:
    Outputs(const Schedule<Real>& how, Real* target, int64_t count) : target_(target), count_(size_t(count)) {
        if (how.storage.is_team && target != nullptr) own_.assign(count_ * size_t(how.num_threads), Real(0));
    }
    Real* of(int64_t rank) { return own_.empty() ? target_ : own_.data() + count_ * size_t(rank); }
    void finish() {
        if (own_.empty()) return;
        std::fill(target_, target_ + count_, Real(0));
        for (size_t i = 0; i < own_.size(); ++i) target_[i % count_] += own_[i];
    }

   private:
    Real* target_;
    size_t count_;
    std::vector<Real> own_;
};

// Returns what became of the team.
template <class Real>
TeamResult run_values(const Schedule<Real>& how, const Batch<Real>& batch, const Tape<Real>* tape, Real* values) {
    const int64_t num_observables = how.view->num_observables;
    Outputs<Real> outputs(how, values, batch.size * num_observables);
    const auto work = [&](const Kernel<Real>& kernel, Tile<Real>& tile, int64_t part, int64_t sample) {
        tile.values = outputs.of(part) + sample * num_observables;
        kernel.values(tile);
    };
    const TeamResult team = Tiles(how, batch, tape, work).run();
    outputs.finish();
    return team;
}

// The same batch for one thread.
template <class Real>
Batch<Real> alone(Batch<Real> batch) {
    batch.num_threads = 1;
    return batch;
}

template <class Real>
void values(const Plan& plan, const Batch<Real>& batch, Real* values) {
    if (batch.size == 0) return;
    if (plan.steps() != nullptr) return step_values(plan, batch, values);
    const auto how = schedule_of_call<Real>(plan, batch, Purpose::values);
    if (run_values<Real>(how, batch, nullptr, values).size == 0) qtm::values(plan, alone(batch), values);
}

template <class Real>
std::unique_ptr<Tape<Real>> record(const Plan& plan, const Batch<Real>& batch, Real* values) {
    if (batch.size == 0) return nullptr;
    if (plan.steps() != nullptr) {
        step_values(plan, batch, values);
        return nullptr;
    }
    const auto how = schedule_of_call<Real>(plan, batch, Purpose::recorded_gradient);
    if (how.tape_bytes == 0) {
        qtm::values(plan, batch, values);
        return nullptr;
    }
    std::unique_ptr<Tape<Real>> tape(new Tape<Real>{how, batch.size, Scratch(how.tape_bytes), {}, {}});
    Schedule<Real> forward = how;
    if (how.storage.taped == Taped::all_but_kets) forward.storage.mode = Mode::values;
    const TeamResult team = run_values<Real>(forward, batch, tape.get(), values);
    if (team.size == 0) return record(plan, alone(batch), values);
    // A team that lost a member will not come together again soon.
    if (team.size_at_end < team.size) return nullptr;
    tape->team_size = team.size;
    return tape;
}

// What the tiles of every part have left of the adjoint pass is one state, for which the prefix is done once.
template <class Real>
void prefix_gradient(const Plan& plan, const Batch<Real>& batch, const Wanted& wanted, Real* bra,
                     double* weight_gradient) {
    const Kernel<Real>* kernel = prefix_kernel<Real>(plan);
    Tile<Real> tile{};
    tile.program = plan.view(kernel->lane_bits, true, false);
    tile.weights = batch.weights;
    tile.inputs = batch.inputs;
    tile.num_samples = 1;
    tile.storage = prefix_storage;
    const Scratch scratch(kernel->scratch_bytes(*tile.program, tile.storage));
    tile.scratch = scratch.data();
    tile.first = true;
    tile.wanted = &wanted;
    tile.prefix_bra = bra;
    tile.weight_gradient = weight_gradient;
    kernel->prefix_gradient(tile);
}

// How many sums there are, of pieces or of members of a team.
template <class Real>
size_t num_parts(const Schedule<Real>& how) {
    return size_t(how.num_threads) * size_t(how.pieces);
}

// The bras after shared prefixes that gradients go back through: of each part, then added up.
template <class Real>
class PrefixBras {
   public:
    PrefixBras(const Schedule<Real>& how, const Plan::Selection& selection) : length_(prefix_length(*how.plan)) {
        if (!how.storage.shares_prefix) return;
        size_t begin = 0;
        for (const Plan* plan : prefix_plans(*how.plan)) {
            const bool is_half = how.plan->half(0) != nullptr;
            const Wanted& wanted = is_half ? selection.halves[plan == how.plan->half(1)].wanted : selection.wanted;
            if (wanted.first_layer < plan->view().prefix_layers) sources_.push_back({plan, &wanted, begin});
            begin += size_t(2) << plan->view().num_qubits;
        }
        if (!sources_.empty()) bras_.assign(num_parts(how) * length_, Real(0));
    }
    Real* of(int64_t part) { return bras_.empty() ? nullptr : bras_.data() + size_t(part) * length_; }
    void finish(const Batch<Real>& batch, double* weight_gradient) {
        for (size_t i = length_; i < bras_.size(); ++i) bras_[i % length_] += bras_[i];
        for (const Source& one : sources_)
            prefix_gradient<Real>(*one.plan, batch, *one.wanted, bras_.data() + one.begin, weight_gradient);
    }

   private:
    struct Source {
        const Plan* plan;
        const Wanted* wanted;
        size_t begin;
    };
    size_t length_;
    std::vector<Source> sources_;
    std::vector<Real> bras_;
};

template <class Real>
void vector_jacobian_product(const Plan& plan, const Batch<Real>& batch, const Real* cotangent, Derivative derivative,
                             const uint8_t* wanted_variable, const Tape<Real>* tape, Real* input_gradient,
                             Real* weight_gradient) {
    if (plan.steps() != nullptr)
        return step_vector_jacobian_product(plan, batch, cotangent, derivative, wanted_variable, input_gradient,
                                            weight_gradient);
    const ProgramView& view = plan.view();
    const auto num_weights = size_t(view.num_weights);
    if (input_gradient != nullptr) std::fill(input_gradient, input_gradient + batch.size * view.num_inputs, Real(0));
    std::vector<double> sums;  // weight gradients of each part
    if (batch.size > 0) {
        if (derivative == Derivative::imaginary) tape = nullptr;
        const auto purpose = derivative == Derivative::imaginary ? Purpose::imaginary_gradient : Purpose::gradient;
        auto how = tape != nullptr ? tape->how : schedule_of_call<Real>(plan, batch, purpose);
        const bool undoes_tape =
            tape != nullptr && how.storage.taped == Taped::all && how.storage.mode == Mode::gradient_undoing_kets;
        const bool takes_kets = undoes_tape && !tape->is_spent.exchange(true);
        if (undoes_tape && !takes_kets) how.storage.taped = Taped::all_but_spent_kets;
        const auto selection = how.plan->select(wanted_variable, derivative);
        PrefixBras<Real> prefix(how, selection);
        sums.assign(num_parts(how) * num_weights, 0.0);
        Outputs<Real> inputs(how, input_gradient, batch.size * view.num_inputs);
        const auto work = [&](const Kernel<Real>& kernel, Tile<Real>& tile, int64_t part, int64_t sample) {
            tile.wanted = &selection.wanted;
            tile.derivative = derivative;
            tile.cotangent = cotangent + sample * view.num_observables;
            if (weight_gradient != nullptr) tile.weight_gradient = sums.data() + size_t(part) * num_weights;
            if (input_gradient != nullptr) tile.input_gradient = inputs.of(part) + sample * view.num_inputs;
            tile.prefix_bra = prefix.of(part);
            kernel.vector_jacobian_product(tile);
        };
        if (Tiles(how, batch, tape, work).run().size == 0) {
            if (takes_kets) tape->is_spent.store(false);  // untouched: they serve another call
            return vector_jacobian_product<Real>(plan, alone(batch), cotangent, derivative, wanted_variable, nullptr,
                                                 input_gradient, weight_gradient);
        }
        inputs.finish();
        if (num_weights > 0) prefix.finish(batch, sums.data());
    }
    if (weight_gradient == nullptr) return;
    for (size_t w = 0; w < num_weights; ++w) {
        double sum = 0;
        for (size_t at = w; at < sums.size(); at += num_weights) sum += sums[at];
        weight_gradient[w] = Real(sum);
    }
}

#define QTM_INSTANTIATE(Real)                                                                                       \
    template std::pair<const Kernel<Real>*, int> kernels<Real>();                                                   \
    template Schedule<Real> schedule<Real>(const Plan&, int64_t, int, Purpose);                                     \
    template void values(const Plan&, const Batch<Real>&, Real*);                                                   \
    template std::unique_ptr<Tape<Real>> record(const Plan&, const Batch<Real>&, Real*);                            \
    template void vector_jacobian_product(const Plan&, const Batch<Real>&, const Real*, Derivative, const uint8_t*, \
                                          const Tape<Real>*, Real*, Real*);
QTM_INSTANTIATE(float)
QTM_INSTANTIATE(double)
#undef QTM_INSTANTIATE

}  // namespace qtm
