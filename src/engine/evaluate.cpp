#include "evaluate.hpp"

#include <algorithm>
#include <memory>
#include <vector>

#include "prefix.hpp"
#include "processors.hpp"
#include "threads.hpp"
#include "tiles.hpp"

namespace qtm {
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

}  // namespace

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
    std::unique_ptr<Tape<Real>> tape(new Tape<Real>{how, plan.number(), batch.size, Scratch(how.tape_bytes), {}, {}});
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
    template void values(const Plan&, const Batch<Real>&, Real*);                                                   \
    template std::unique_ptr<Tape<Real>> record(const Plan&, const Batch<Real>&, Real*);                            \
    template void vector_jacobian_product(const Plan&, const Batch<Real>&, const Real*, Derivative, const uint8_t*, \
                                          const Tape<Real>*, Real*, Real*);
QTM_INSTANTIATE(float)
QTM_INSTANTIATE(double)
#undef QTM_INSTANTIATE

}  // namespace qtm
