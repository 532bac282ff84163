#include "schedule.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include "budget.hpp"
#include "costs.hpp"
#include "dispatch.hpp"
#include "division.hpp"
#include "memory.hpp"
#include "prefix.hpp"
#include "require.hpp"
#include "tuning.hpp"

namespace qtm {

namespace {

// With a sample in every lane, and spread.
template <class Real>
const Kernel<Real>* kernels_of(const JetKernels& jets) {
    if constexpr (std::is_same_v<Real, FirstJet<float>>)
        return jets.first_float;
    else if constexpr (std::is_same_v<Real, FirstJet<double>>)
        return jets.first_double;
    else if constexpr (std::is_same_v<Real, SecondJet<float>>)
        return jets.second_float;
    else
        return jets.second_double;
}

// Implementations have one with a sample in every lane: where few samples would leave lanes empty, a narrower one
// serves as well.
template <class Real>
std::pair<const Kernel<Real>*, int> kernels_of_jets(const Implementation& chosen) {
    static const std::vector<const Implementation*> supported = supported_implementations();
    static const std::vector<std::vector<Kernel<Real>>> all = [] {
        std::vector<std::vector<Kernel<Real>>> found;
        for (auto one = supported.begin(); one != supported.end(); ++one) {
            std::vector<Kernel<Real>>& own = found.emplace_back();
            for (auto other = one; other != supported.end(); ++other)
                own.push_back(kernels_of<Real>(*(*other)->jets)[0]);
            own.push_back(kernels_of<Real>(*(*one)->jets)[1]);
        }
        return found;
    }();
    const auto& own = all[size_t(std::find(supported.begin(), supported.end(), &chosen) - supported.begin())];
    return {own.data(), int(own.size())};
}

}  // namespace

template <class Real>
std::pair<const Kernel<Real>*, int> kernels() {
    const Implementation& chosen = implementation();
    if constexpr (is_jet<Real>)
        return kernels_of_jets<Real>(chosen);
    else if constexpr (is_single<Real>)
        return {chosen.float_kernels, chosen.num_float_kernels};
    else
        return {chosen.double_kernels, chosen.num_double_kernels};
}

namespace {

std::atomic<Layouts> permitted_layouts{Layouts::any};
std::atomic<Halving> forced_halving{Halving::any};
std::atomic<bool> forced_steps{false};
std::atomic<int> preferred_storage{-1};

int useful_threads(const Plan& plan, int64_t batch_size, int num_threads, int64_t num_cotangents = 1) {
    const double updates = double(num_cotangents) * double(batch_size) * double(plan.view().num_runs + 1) *
                           double(1u << plan.view().num_qubits);
    const double most = std::min({double(num_threads), double(batch_size), updates / tuning::least_work_per_thread});
    return std::max(1, int(most));
}

// Ways of storing states, best first, for a thread that runs `tiles` tiles. A single tile shares nothing.
std::vector<Storage> storages(const ProgramView& view, Purpose purpose, int64_t tiles, bool is_team) {
    std::vector<Storage> found;
    const bool may_share = prefix_layers(view) > 0 && tiles >= tuning::least_tiles_to_share && !is_team;
    for (const bool shares : {true, false}) {
        if (shares && !may_share) continue;
        if (purpose == Purpose::values) {
            found.push_back({Mode::values, shares, Taped::nothing, is_team});
            continue;
        }
        const bool several = purpose == Purpose::several_gradients || purpose == Purpose::several_imaginary_gradients;
        found.push_back({Mode::gradient_keeping_kets, shares, Taped::nothing, is_team});
        found.push_back({Mode::gradient_undoing_kets, shares, Taped::nothing, is_team, several});
    }
    return found;
}

// What a forward call keeps for the backward call: as much as fits the limits.
template <class Real>
void choose_tape(Schedule<Real>& how, size_t budget) {
    if (how.storage.mode == Mode::values) return;
    // Of several samples in the order of sweeps, a tape of large kets is no faster than running layers anew.
    const bool is_worth_more = !how.view->in_order || how.kernel->is_single();
    const size_t ket_bytes = is_worth_more ? 2 * sizeof(Real) << how.view->num_qubits : 0;
    const int preferred = preferred_storage.load();
    for (const Taped taped : {Taped::all_but_kets, Taped::all}) {
        if (preferred >= 0 && taped > legal_storages[size_t(preferred)].taped) continue;
        Storage storage = how.storage;
        storage.taped = taped;
        const size_t shared = how.kernel->shared_tape_bytes(*how.view, storage);
        const size_t own =
            std::max(how.kernel->tape_bytes(*how.view, storage), how.rest_kernel->tape_bytes(*how.rest_view, storage)) *
            size_t(how.num_threads);
        const size_t bytes = (own + shared) * size_t(how.tiles);
        const bool is_last_ket = taped == Taped::all && storage.mode == Mode::gradient_undoing_kets;
        if (bytes > most_taped(is_last_ket ? ket_bytes : 0, budget)) continue;
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
    int64_t num_cotangents = 1;
    bool by_steps = false;
    Layouts allowed{};
    Halving halving{};
    int preferred_storage = -1;
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

template <class Real>
bool allows_absorption(Purpose purpose) {
    return purpose != Purpose::imaginary_gradient && purpose != Purpose::several_imaginary_gradients && !is_jet<Real>;
}

// Null: the kernel has no layers, may not be taken, or is too wide for the circuit.
template <class Real>
const ProgramView* view_for(const Plan& plan, const Kernel<Real>& kernel, Layouts allowed, bool may_absorb) {
    return kernel.values != nullptr && allows(allowed, kernel) ? plan.view(kernel.lane_bits, may_absorb, false)
                                                               : nullptr;
}

// All ways to run a batch of one plan.
template <class Real>
void consider(Best<Real>& best, const Plan& plan, const Question& asked, Layouts allowed) {
    const auto [kernel, count] = kernels<Real>();
    const bool may_absorb = allows_absorption<Real>(asked.purpose);
    const int threads = useful_threads(plan, asked.batch_size, asked.num_threads, asked.num_cotangents),
              team = useful_team(plan, asked.num_threads);
    for (const Kernel<Real>* one = kernel; one < kernel + count; ++one) {
        const ProgramView* view_alone = view_for(plan, *one, allowed, may_absorb);
        if (view_alone == nullptr) continue;
        const ProgramView* view_of_team = team > 1 ? plan.view(one->lane_bits, may_absorb, true) : nullptr;
        const int members = view_of_team != nullptr ? team : 1;
        for (const Division<Real>& d : divisions(one, asked.batch_size, threads, members)) {
            const ProgramView* view = d.is_team ? view_of_team : view_alone;
            const ProgramView* rest_view =
                d.rest_kernel == one ? view : view_for(plan, *d.rest_kernel, allowed, may_absorb);
            if (rest_view == nullptr) continue;
            for (const Storage& storage : storages(*view, asked.purpose, d.tiles(), d.is_team)) {
                const size_t most =
                    std::max(one->scratch_bytes(*view, storage), d.rest_kernel->scratch_bytes(*rest_view, storage));
                const size_t bytes = (most + 63) / 64 * 64;
                const size_t shared = one->shared_bytes(*view, storage);
                const int64_t pieces = pieces_of_share(d, storage);
                const size_t prefix = prefix_bytes<Real>(plan, storage, pieces * d.num_threads * asked.num_cotangents);
                const size_t all = bytes * size_t(d.num_threads) + shared + prefix;
                best.least_bytes = std::min(best.least_bytes, all);
                if (all > asked.limit) continue;
                Schedule<Real> how{
                    one,   d.rest_kernel, &plan,  view, rest_view, d.samples, d.num_threads, d.tiles(), pieces, storage,
                    bytes, shared,        prefix, 0,    0,         0};
                if (asked.purpose == Purpose::recorded_gradient) choose_tape(how, asked.limit);
                require(is_legal(how.storage), "storage");
                double cost = division_cost(*view, d, bytes + shared, how.storage);
                if (asked.preferred_storage >= 0 && how.storage != legal_storages[size_t(asked.preferred_storage)])
                    cost += 1e30;
                if (cost >= best.cost) continue;
                best.cost = how.cost = cost;
                best.how = how;
            }
        }
    }
}

template <class Real>
Schedule<Real> answer(const Plan& plan, const Question& asked) {
    const auto [kernel, count] = kernels<Real>();
    const bool may_absorb = allows_absorption<Real>(asked.purpose);
    Layouts allowed = is_jet<Real> ? Layouts::any : asked.allowed;
    if (std::none_of(kernel, kernel + count,
                     [&](const auto& k) { return view_for(plan, k, allowed, may_absorb) != nullptr; }))
        allowed = Layouts::any;
    Best<Real> best;
    const auto consider_if = [&](const Plan* one, Halving forced) {
        const bool may = asked.halving == Halving::any || asked.halving == forced;
        if (one != nullptr && may && (asked.halving == Halving::any || best.how.kernel == nullptr))
            consider(best, *one, asked, allowed);
    };
    if constexpr (!is_jet<Real>) consider_if(plan.unjoined(), Halving::unjoined);
    consider_if(plan.halved(), Halving::joined);
    if (best.how.kernel == nullptr || asked.halving == Halving::any) consider(best, plan, asked, allowed);
    if (best.how.kernel == nullptr)
        throw over_budget<Real>("a circuit of " + std::to_string(plan.view().num_qubits) + " qubits", best.least_bytes,
                                asked.limit);
    return best.how;
}

}  // namespace

void allow_layouts(Layouts layouts) { permitted_layouts.store(layouts); }
Layouts allowed_layouts() { return permitted_layouts.load(); }

int prefix_layers(const ProgramView& view) {
    if (view.half[0] == nullptr) return view.prefix_layers;
    return std::max(view.half[0]->prefix_layers, view.half[1]->prefix_layers);
}

void force_halving(Halving halving) { forced_halving.store(halving); }

void force_steps(bool forces) { forced_steps.store(forces); }
bool forces_steps() { return forced_steps.load(std::memory_order_relaxed); }

int useful_team(const Plan& plan, int num_threads) {
    return useful_threads(plan, std::numeric_limits<int32_t>::max(), num_threads) < num_threads
               ? 1
               : std::min(num_threads, int((1u << plan.view().num_qubits) / tuning::least_amplitudes_per_thread));
}

int useful_step_team(const Plan& plan, int num_threads) {
    if (plan.steps()->hold_matrices()) return 1;
    return std::min(useful_team(plan, num_threads),
                    int((1u << plan.view().num_qubits) / tuning::least_amplitudes_of_step));
}

size_t most_taped(size_t ket_bytes, size_t budget) {
    const bool is_large = ket_bytes >= tuning::least_large_ket;
    return is_large ? budget / tuning::ket_share : std::min(tuning::most_tape_bytes, budget / 4);
}

void prefer_storage(int number) {
    require(number >= -1 && number < int(num_legal_storages), "a storage by its number");
    preferred_storage.store(number);
}

namespace {

template <class Real>
Schedule<Real> schedule_within(size_t limit, const Plan& plan, Question asked) {
    // To try all ways takes some 10 us; a training loop asks for the same few again and again.
    struct Known {
        Question asked;
        Schedule<Real> how{};
    };
    thread_local std::array<Known, 8> known;
    thread_local size_t next = 0;
    asked.plan = plan.number();
    asked.allowed = allowed_layouts();
    asked.halving = forced_halving.load();
    asked.preferred_storage = preferred_storage.load();
    asked.limit = limit;
    asked.implementation = &implementation();
    for (const Known& one : known)
        if (one.asked == asked) return one.how;
    Schedule<Real>& found = known[next].how;
    known[next].asked = {};
    found = asked.by_steps ? step_schedule_within<Real>(limit, plan, asked.batch_size, asked.num_threads, asked.purpose)
                           : answer<Real>(plan, asked);
    known[next].asked = asked;
    next = (next + 1) % known.size();
    return found;
}

template <class Real>
Schedule<Real> schedule_within_budget(const Plan& plan, const Question& asked) {
    return within_budget([&](size_t limit) { return schedule_within<Real>(limit, plan, asked); },
                         [](const Schedule<Real>& how) {
                             return how.scratch_bytes * size_t(how.num_threads) + how.shared_bytes + how.prefix_bytes +
                                    how.tape_bytes + how.matrix_bytes;
                         });
}

}  // namespace

template <class Real>
Schedule<Real> schedule(const Plan& plan, int64_t batch_size, int num_threads, Purpose purpose,
                        int64_t num_cotangents) {
    return schedule_within_budget<Real>(
        plan,
        {.batch_size = batch_size, .num_threads = num_threads, .purpose = purpose, .num_cotangents = num_cotangents});
}

template <class Real>
Schedule<Real> step_schedule(const Plan& plan, int64_t batch_size, int num_threads, Purpose purpose) {
    return schedule_within_budget<Real>(
        plan, {.batch_size = batch_size, .num_threads = num_threads, .purpose = purpose, .by_steps = true});
}

#define QTM_INSTANTIATE(Real)                                                            \
    template std::pair<const Kernel<Real>*, int> kernels<Real>();                        \
    template Schedule<Real> schedule<Real>(const Plan&, int64_t, int, Purpose, int64_t); \
    template Schedule<Real> step_schedule<Real>(const Plan&, int64_t, int, Purpose);
QTM_FOR_ALL_NUMBERS(QTM_INSTANTIATE)
#undef QTM_INSTANTIATE

}  // namespace qtm
