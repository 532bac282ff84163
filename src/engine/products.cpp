// Vector-Jacobian products of a batch.
#include <algorithm>
#include <array>
#include <limits>
#include <utility>
#include <vector>

#include "call.hpp"
#include "evaluate.hpp"
#include "prefix.hpp"
#include "tiles.hpp"
#include "tuning.hpp"

namespace qtm {
namespace {

// What the tiles of every part have left of the adjoint pass is one state, for which the prefix is done once.
template <class Real>
void prefix_gradient(const Plan& plan, const Batch<Real>& batch, const Wanted& wanted, Real* bra,
                     DoubleOf<Real>* weight_gradient) {
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

// The bras after shared prefixes that gradients go back through: of each part, then added up, for every cotangent.
template <class Real>
class PrefixBras {
   public:
    PrefixBras(const Schedule<Real>& how, const Plan::Selection& selection, int64_t num_cotangents)
        : length_(prefix_length(*how.plan)), stride_(num_parts(how) * length_) {
        if (!how.storage.shares_prefix) return;
        size_t begin = 0;
        for (const Plan* plan : prefix_plans(*how.plan)) {
            const bool is_half = how.plan->half(0) != nullptr;
            const Wanted& wanted = is_half ? selection.halves[plan == how.plan->half(1)].wanted : selection.wanted;
            if (wanted.first_layer < plan->view().prefix_layers) sources_.push_back({plan, &wanted, begin});
            begin += size_t(2) << plan->view().num_qubits;
        }
        if (!sources_.empty()) bras_.assign(size_t(num_cotangents) * stride_, Real(0));
    }
    Real* of(int64_t part) { return bras_.empty() ? nullptr : bras_.data() + size_t(part) * length_; }
    // From one cotangent to the next.
    int64_t stride() const { return int64_t(stride_); }
    void finish(const Batch<Real>& batch, int64_t cotangent, DoubleOf<Real>* weight_gradient) {
        if (bras_.empty()) return;
        Real* bras = bras_.data() + size_t(cotangent) * stride_;
        for (size_t part = length_; part < stride_; part += length_)
            for (size_t i = 0; i < length_; ++i) bras[i] += bras[part + i];
        for (const Source& one : sources_)
            prefix_gradient<Real>(*one.plan, batch, *one.wanted, bras + one.begin, weight_gradient);
    }

   private:
    struct Source {
        const Plan* plan;
        const Wanted* wanted;
        size_t begin;
    };
    size_t length_, stride_;
    std::vector<Source> sources_;
    std::vector<Real> bras_;
};

// What gradients are wanted of, and where they go.
template <class Real>
struct Products {
    int64_t count;          // of cotangents
    const Real* cotangent;  // [count, size, num_values]
    Derivative derivative;
    const uint8_t* wanted_variable;
    Real* input_gradient;   // [count, size, num_inputs], or null
    Real* weight_gradient;  // [count, num_weights], or null
};

// To work out what depends on the wanted variables takes as long as a kernel; a training loop asks for the same again
// and again. What is returned serves until the thread asks for others.
const Plan::Selection& selection_of(const Plan& plan, const uint8_t* wanted_variable, Derivative derivative) {
    struct Known {
        uint64_t plan = 0;  // no plan has this number
        Derivative derivative{};
        std::vector<uint8_t> wanted;
        Plan::Selection selection;
    };
    thread_local std::array<Known, 4> known;
    thread_local size_t next = 0;
    const size_t count = size_t(plan.view().num_inputs) + size_t(plan.view().num_weights);
    for (const Known& one : known)
        if (one.plan == plan.number() && one.derivative == derivative &&
            std::equal(one.wanted.begin(), one.wanted.end(), wanted_variable, wanted_variable + count))
            return one.selection;
    Known found{plan.number(), derivative, {wanted_variable, wanted_variable + count}, {}};
    found.selection = plan.select(wanted_variable, derivative);
    const size_t place = std::exchange(next, (next + 1) % known.size());
    known[place] = std::move(found);
    return known[place].selection;
}

// Returns whether anything was run: the members of a team may not have come.
template <class Real>
bool run_products(const Schedule<Real>& how, const Batch<Real>& batch, const Tape<Real>* tape,
                  const Products<Real>& asked) {
    const ProgramView& view = *how.view;
    const auto num_weights = size_t(view.num_weights);
    const Plan::Selection& selection = selection_of(*how.plan, asked.wanted_variable, asked.derivative);
    PrefixBras<Real> prefix(how, selection, asked.count);
    const size_t stride = num_parts(how) * num_weights;
    std::vector<DoubleOf<Real>> sums(size_t(asked.count) * stride,
                                     DoubleOf<Real>(0.0));  // weight gradients of each part
    const typename Tile<Real>::Strides strides{batch.size * view.num_values, batch.size * view.num_inputs,
                                               int64_t(stride), prefix.stride()};
    const int first_step = how.by_steps ? how.plan->steps()->first_wanted(selection.angle.data()) : 0;
    Sums<Real> inputs(members(how), asked.input_gradient, asked.count * strides.input_gradient);
    const auto work = [&](const Kernel<Real>& kernel, Tile<Real>& tile, int64_t part, int64_t sample) {
        tile.wanted = &selection.wanted;
        tile.derivative = asked.derivative;
        tile.num_cotangents = asked.count;
        tile.stride = strides;
        tile.cotangent = asked.cotangent + sample * view.num_values;
        if (asked.weight_gradient != nullptr) tile.weight_gradient = sums.data() + size_t(part) * num_weights;
        if (asked.input_gradient != nullptr) tile.input_gradient = inputs.of(part) + sample * view.num_inputs;
        tile.prefix_bra = prefix.of(part);
        if (how.by_steps)
            return kernel.step_vector_jacobian_product(
                tile, how.plan->steps()->template view<NumberOf<Real>>(kernel.lane_bits), first_step);
        kernel.vector_jacobian_products(tile);
    };
    if (Tiles(how, batch, tape, work).run().size == 0) return false;
    inputs.finish();
    if (num_weights == 0) return true;
    for (int64_t c = 0; c < asked.count; ++c) {
        DoubleOf<Real>* own = sums.data() + size_t(c) * stride;
        prefix.finish(batch, c, own);
        if (asked.weight_gradient == nullptr) continue;
        for (size_t w = 0; w < num_weights; ++w) {
            DoubleOf<Real> sum(0.0);
            for (size_t at = w; at < stride; at += num_weights) sum += own[at];
            asked.weight_gradient[size_t(c) * num_weights + w] = Real(sum);
        }
    }
    return true;
}

// Gradients start from zero: they are added up, and nothing is where nothing is run.
template <class Real>
void clear(const Plan& plan, const Batch<Real>& batch, const Products<Real>& asked) {
    const ProgramView& view = plan.view();
    if (asked.input_gradient != nullptr)
        std::fill_n(asked.input_gradient, asked.count * batch.size * view.num_inputs, Real(0));
    if (asked.weight_gradient != nullptr) std::fill_n(asked.weight_gradient, asked.count * view.num_weights, Real(0));
}

template <class Real>
Real* advanced(Real* pointer, int64_t count) {
    return pointer == nullptr ? nullptr : pointer + count;
}

Purpose purpose_of_several(Derivative derivative) {
    return derivative == Derivative::imaginary ? Purpose::several_imaginary_gradients : Purpose::several_gradients;
}

// Each from the same last kets, if these are worth a tape.
template <class Real>
void run_one_by_one(const Plan& plan, const Batch<Real>& batch, const Products<Real>& asked) {
    const ProgramView& view = plan.view();
    std::vector<Real> values(size_t(batch.size * view.num_values));
    const auto tape = asked.count > 1 ? record(plan, batch, values.data()) : nullptr;
    for (int64_t c = 0; c < asked.count; ++c)
        vector_jacobian_product<Real>(plan, batch, asked.cotangent + c * batch.size * view.num_values, asked.derivative,
                                      asked.wanted_variable, tape.get(),
                                      advanced(asked.input_gradient, c * batch.size * view.num_inputs),
                                      advanced(asked.weight_gradient, c * view.num_weights));
}

// From one way forward, with the samples as they are.
template <class Real>
void run_together(const Plan& plan, const Batch<Real>& batch, const Products<Real>& asked) {
    const auto how = schedule_of_call<Real>(plan, batch, purpose_of_several(asked.derivative), asked.count);
    if (how.by_steps) return run_one_by_one(plan, batch, asked);
    if (!run_products<Real>(how, batch, nullptr, asked)) run_together(plan, alone(batch), asked);
}

// How many cotangents go side by side, each with a copy of the samples: as many as fill lanes and threads.
template <class Real>
int64_t best_copies(const Plan& plan, const Batch<Real>& batch, const Products<Real>& asked) {
    if (asked.weight_gradient != nullptr) return 1;
    if (runs_by_steps<Real>(plan, batch.size, batch.num_threads, purpose_of_several(asked.derivative)))
        return std::clamp<int64_t>(tuning::most_rows_of_steps / batch.size, 1, asked.count);
    int64_t best = 1;
    double least = std::numeric_limits<double>::infinity();
    for (int64_t copies = 1; copies <= asked.count; copies *= 2) {
        if (copies > 1 && copies * batch.size > tuning::most_rows_of_copies * batch.num_threads) break;
        const int64_t passes = (asked.count + copies - 1) / copies;
        const auto how =
            schedule<Real>(plan, copies * batch.size, batch.num_threads, purpose_of_several(asked.derivative), passes);
        const double cost = how.cost * (tuning::forward_share + (1 - tuning::forward_share) * double(passes));
        if (cost >= least) continue;
        least = cost;
        best = copies;
    }
    return best;
}

// The same with copies of the samples: cotangent number pass * copies + c goes with copy c.
template <class Real>
void run_copies(const Plan& plan, const Batch<Real>& batch, const Products<Real>& asked, int64_t most_copies) {
    const ProgramView& view = plan.view();
    const int64_t passes = (asked.count + most_copies - 1) / most_copies, copies = (asked.count + passes - 1) / passes;
    const int64_t given = batch.size * view.num_inputs, seeds = batch.size * view.num_values;
    std::vector<Real> inputs, cotangent, gradient;
    for (int64_t c = 0; c < copies; ++c) inputs.insert(inputs.end(), batch.inputs, batch.inputs + given);
    Batch<Real> wide = batch;
    wide.inputs = inputs.data();
    wide.size = copies * batch.size;
    Products<Real> filled = asked;
    filled.count = passes;
    const bool is_filled = passes * copies == asked.count;
    if (!is_filled) {
        cotangent.assign(asked.cotangent, asked.cotangent + asked.count * seeds);
        cotangent.resize(size_t(passes * copies * seeds), Real(0));
        gradient.assign(size_t(passes * copies * given), Real(0));
        filled.cotangent = cotangent.data();
        filled.input_gradient = gradient.data();
    }
    run_together(plan, wide, filled);
    if (!is_filled) std::copy_n(gradient.data(), asked.count * given, asked.input_gradient);
}

}  // namespace

template <class Real>
void vector_jacobian_product(const Plan& plan, const Batch<Real>& batch, const Real* cotangent, Derivative derivative,
                             const uint8_t* wanted_variable, const Tape<Real>* tape, Real* input_gradient,
                             Real* weight_gradient) {
    if (derivative == Derivative::imaginary) tape = nullptr;
    const Products<Real> asked{1, cotangent, derivative, wanted_variable, input_gradient, weight_gradient};
    clear(plan, batch, asked);
    if (batch.size == 0) return;
    const auto purpose = derivative == Derivative::imaginary ? Purpose::imaginary_gradient : Purpose::gradient;
    auto how = tape != nullptr ? tape->how : schedule_of_call<Real>(plan, batch, purpose);
    const bool undoes_tape =
        tape != nullptr && how.storage.taped == Taped::all && how.storage.mode == Mode::gradient_undoing_kets;
    const bool takes_kets = undoes_tape && !tape->is_spent.exchange(true);
    if (undoes_tape && !takes_kets) how.storage.taped = Taped::all_but_spent_kets;
    if (run_products(how, batch, tape, asked)) return;
    if (takes_kets) tape->is_spent.store(false);  // untouched: they serve another call
    vector_jacobian_product<Real>(plan, alone(batch), cotangent, derivative, wanted_variable, nullptr, input_gradient,
                                  weight_gradient);
}

template <class Real>
void vector_jacobian_products(const Plan& plan, const Batch<Real>& batch, int64_t count, const Real* cotangent,
                              Derivative derivative, const uint8_t* wanted_variable, Real* input_gradient,
                              Real* weight_gradient) {
    const Products<Real> asked{count, cotangent, derivative, wanted_variable, input_gradient, weight_gradient};
    clear(plan, batch, asked);
    if (batch.size == 0 || count == 0 || (input_gradient == nullptr && weight_gradient == nullptr)) return;
    const int64_t copies = best_copies(plan, batch, asked);
    if (copies > 1) return run_copies(plan, batch, asked, copies);
    run_together(plan, batch, asked);
}

#define QTM_INSTANTIATE(Real)                                                                                       \
    template void vector_jacobian_product(const Plan&, const Batch<Real>&, const Real*, Derivative, const uint8_t*, \
                                          const Tape<Real>*, Real*, Real*);                                         \
    template void vector_jacobian_products(const Plan&, const Batch<Real>&, int64_t, const Real*, Derivative,       \
                                           const uint8_t*, Real*, Real*);
QTM_INSTANTIATE(float)
QTM_INSTANTIATE(double)
#undef QTM_INSTANTIATE

#define QTM_INSTANTIATE(Real)                                                                                       \
    template void vector_jacobian_product(const Plan&, const Batch<Real>&, const Real*, Derivative, const uint8_t*, \
                                          const Tape<Real>*, Real*, Real*);
QTM_INSTANTIATE(FirstJet<float>)
QTM_INSTANTIATE(FirstJet<double>)
QTM_INSTANTIATE(SecondJet<float>)
QTM_INSTANTIATE(SecondJet<double>)
#undef QTM_INSTANTIATE

}  // namespace qtm
