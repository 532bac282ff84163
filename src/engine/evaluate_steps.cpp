// Batches of circuits that run step by step.
#include <algorithm>
#include <limits>
#include <stdexcept>
#include <vector>

#include "budget.hpp"
#include "call.hpp"
#include "claims.hpp"
#include "evaluate.hpp"
#include "memory.hpp"
#include "processors.hpp"
#include "threads.hpp"
#include "tiles.hpp"
#include "tuning.hpp"

namespace qtm {
namespace {

// Complex products for each amplitude, in vectors: of the longest share of a thread, and some of all.
template <class Real>
double call_cost(const Steps& steps, const Kernel<Real>& kernel, int64_t samples, int num_threads, bool is_team) {
    const int64_t tiles = kernel.lane_bits > 0 ? samples : (samples + kernel.lanes - 1) / kernel.lanes;
    const double share = is_team ? double(tiles) / num_threads : double((tiles + num_threads - 1) / num_threads);
    // Amplitudes come together one by one where lanes are cosets.
    const double products =
        kernel.lane_bits > 0 ? tuning::spread_steps * steps.products(kernel.lanes) / kernel.lanes : steps.products(1);
    return (share + tuning::alone * double(tiles)) * products *
           (kernel.lanes == kernels<Real>().first->lanes ? 1 : tuning::half_vector_of_steps);
}

// Of a tile.
template <class Real>
size_t ket_bytes(const StepSchedule<Real>& how, int num_qubits) {
    return (2 * sizeof(Real) * size_t(how.kernel->lanes) << num_qubits) >> how.kernel->lane_bits;
}

// How a batch becomes pieces: of whole tiles, so that one thread that does all of them does no more than it must.
template <class Real>
struct Pieces {
    int64_t samples, tiles, count;  // samples in a tile; in a team, every member has a part

    Pieces(const StepSchedule<Real>& how, int64_t batch_size)
        : samples(how.kernel->lane_bits > 0 ? 1 : how.kernel->lanes),
          tiles((batch_size + samples - 1) / samples),
          count(how.storage.is_team    ? how.num_threads
                : how.num_threads == 1 ? 1
                                       : std::min(tiles, how.num_threads * tuning::most_pieces)) {}
};

// Runs every sample: calls work(tile, part, first sample) for every tile, with all but its outputs set. A part is a
// piece of the batch, or, in a team, where every thread gets every tile, the rank of the thread.
template <class Real, class Work>
class StepTiles {
   public:
    StepTiles(const StepSchedule<Real>& how, const ProgramView& view, const Batch<Real>& batch, Mode mode,
              const Tape<Real>* tape, Work work)
        : how_(how),
          view_(view),
          batch_(batch),
          mode_(mode),
          tape_(tape),
          work_(work),
          scratch_(how.scratch_bytes * size_t(how.num_threads) + how.shared_bytes),
          pieces_(how, batch.size) {}

    // False: nothing is run, as the members of a team did not come.
    bool run() {
        if (how_.storage.is_team) {
            const int size = how_.num_threads;
            const TeamSize wanted{size, batch_.is_fixed ? size : 2, batch_.is_fixed, std::chrono::microseconds(100)};
            return run_as_team(wanted, [&](const Team& team) {
                       Tile<Real> own = tile(team.rank, team);
                       for (int64_t number = 0; number < pieces_.tiles; ++number) {
                           run_tile(own, number, team.rank);
                           team.meet();
                       }
                   }).size > 0;
        }
        Claims claims(1, pieces_.count);
        run_in_parallel(how_.num_threads, claims.total(), [&](int thread) {
            Tile<Real> own = tile(thread, {});
            int64_t count = 0;
            for (int64_t piece = claims.claim(thread); piece >= 0; piece = claims.claim(thread), ++count)
                for (int64_t number = share(pieces_.tiles, piece, pieces_.count);
                     number < share(pieces_.tiles, piece + 1, pieces_.count); ++number)
                    run_tile(own, number, piece);
            return count;
        });
        return true;
    }

   private:
    // The first tile of a thread, or of a member of a team.
    Tile<Real> tile(int thread, const Team& team) {
        Tile<Real> found{};
        found.program = &view_;
        found.weights = batch_.weights;
        found.storage = how_.storage;
        found.storage.mode = mode_;
        found.scratch = scratch_.data() + how_.scratch_bytes * size_t(thread);
        found.shared = scratch_.data() + how_.scratch_bytes * size_t(how_.num_threads);
        found.team = team;
        found.first = true;
        return found;
    }

    void run_tile(Tile<Real>& tile, int64_t number, int64_t part) {
        const int64_t sample = number * pieces_.samples;
        tile.num_samples = std::min(pieces_.samples, batch_.size - sample);
        tile.inputs = batch_.inputs + sample * view_.num_inputs;
        if (tape_ != nullptr) tile.tape = tape_->memory.data() + ket_bytes(how_, view_.num_qubits) * size_t(number);
        work_(tile, part, sample);
        tile.first = false;
    }

    const StepSchedule<Real>& how_;
    const ProgramView& view_;
    const Batch<Real>& batch_;
    const Mode mode_;
    const Tape<Real>* tape_;
    Work work_;
    const Scratch scratch_;
    const Pieces<Real> pieces_;
};

template <class Real>
StepSchedule<Real> step_schedule_within(size_t limit, const Plan& plan, int64_t batch_size, int num_threads,
                                        Mode mode) {
    const Steps& steps = *plan.steps();
    const int num_qubits = plan.view().num_qubits;
    const double products = steps.products(1) * double(batch_size) * double(size_t(1) << num_qubits);
    const double most =
        std::min({double(num_threads), double(batch_size), products / tuning::least_products_per_thread});
    const size_t matrix_bytes = steps.bytes<Real>();
    StepSchedule<Real> best{};
    double best_cost = std::numeric_limits<double>::infinity();
    size_t least_bytes = std::numeric_limits<size_t>::max();
    const auto [first, count] = kernels<Real>();
    const bool can_spread = num_qubits > first[count - 1].lane_bits;
    // The sizes of scratch memory do not depend on what the steps hold.
    StepsView<Real> sizes{};
    sizes.most_rows = steps.most_rows();
    for (const Kernel<Real>* kernel = first; kernel < first + count; ++kernel) {
        const bool is_spread = kernel->lane_bits > 0;
        if (is_spread ? !can_spread || allowed_layouts() == Layouts::batched
                      : can_spread && allowed_layouts() == Layouts::spread)
            continue;
        const ProgramView view = plan.stepwise_view(kernel->lane_bits);
        const auto consider = [&](int threads, bool is_team) {
            const Storage storage{mode, false, Taped::nothing, is_team};
            const size_t scratch = (kernel->step_scratch_bytes(view, sizes, storage) + 63) / 64 * 64,
                         shared = is_team ? kernel->step_shared_bytes(view, storage) : 0,
                         bytes = matrix_bytes + scratch * size_t(threads) + shared;
            least_bytes = std::min(least_bytes, bytes);
            const double cost = call_cost(steps, *kernel, batch_size, threads, is_team);
            if (bytes > limit || cost >= best_cost) return;
            best_cost = cost;
            best = {kernel, threads, storage, scratch, shared, matrix_bytes, 0};
        };
        for (int threads = std::max(1, int(most)); threads >= 1; --threads) consider(threads, false);
        const int team = useful_step_team(plan, num_threads);
        if (team > 1) consider(team, true);
    }
    if (best.kernel == nullptr)
        throw over_budget<Real>("a circuit of " + std::to_string(num_qubits) + " qubits with matrices", least_bytes,
                                limit);
    if (mode != Mode::values) {
        const size_t bytes = ket_bytes(best, num_qubits) * size_t(Pieces<Real>(best, batch_size).tiles);
        if (bytes <= most_taped(ket_bytes(best, num_qubits), limit)) best.tape_bytes = bytes;
    }
    return best;
}

// By no more threads than processors.
template <class Real>
StepSchedule<Real> step_schedule_of_call(const Plan& plan, const Batch<Real>& batch, Mode mode) {
    const auto how = step_schedule<Real>(plan, batch.size, batch.num_threads, mode);
    if (how.num_threads == 1 || batch.is_fixed) return how;
    int most = usable_threads(how.num_threads);
    if (how.storage.is_team) most = worthwhile_threads(most);
    return most < how.num_threads ? step_schedule<Real>(plan, batch.size, most, mode) : how;
}

}  // namespace

template <class Real>
StepSchedule<Real> step_schedule(const Plan& plan, int64_t batch_size, int num_threads, Mode mode) {
    return within_budget(
        [&](size_t limit) { return step_schedule_within<Real>(limit, plan, batch_size, num_threads, mode); },
        [](const StepSchedule<Real>& how) {
            return how.matrix_bytes + how.scratch_bytes * size_t(how.num_threads) + how.shared_bytes + how.tape_bytes;
        });
}

namespace {

template <class Real>
bool run_values(const Plan& plan, const Batch<Real>& batch, const StepSchedule<Real>& how, const Tape<Real>* tape,
                Real* values) {
    const StepsView<Real> steps = plan.steps()->view<Real>(how.kernel->lane_bits);
    const ProgramView view = plan.stepwise_view(how.kernel->lane_bits);
    Sums<Real> sums(members(how), values, batch.size * view.num_values, view.output == Output::expectation_values);
    const auto work = [&](Tile<Real>& tile, int64_t part, int64_t sample) {
        tile.values = sums.of(part) + sample * view.num_values;
        how.kernel->step_values(tile, steps);
    };
    if (!StepTiles(how, view, batch, Mode::values, tape, work).run()) return false;
    sums.finish();
    return true;
}

}  // namespace

template <class Real>
void step_values(const Plan& plan, const Batch<Real>& batch, Real* values) {
    const auto how = step_schedule_of_call<Real>(plan, batch, Mode::values);
    if (!run_values<Real>(plan, batch, how, nullptr, values)) step_values(plan, alone(batch), values);
}

template <class Real>
std::unique_ptr<Tape<Real>> step_record(const Plan& plan, const Batch<Real>& batch, Real* values) {
    const auto how = step_schedule_of_call<Real>(plan, batch, Mode::gradient_undoing_kets);
    if (how.tape_bytes == 0) {
        step_values(plan, batch, values);
        return nullptr;
    }
    std::unique_ptr<Tape<Real>> tape(new Tape<Real>{{}, plan.number(), batch.size, Scratch(how.tape_bytes), {}, {}});
    if (!run_values(plan, batch, how, tape.get(), values)) return step_record(plan, alone(batch), values);
    tape->by_steps = how;
    tape->inputs.assign(batch.inputs, batch.inputs + batch.size * plan.view().num_inputs);
    tape->weights.assign(batch.weights, batch.weights + plan.view().num_weights);
    return tape;
}

template <class Real>
void step_vector_jacobian_product(const Plan& plan, const Batch<Real>& batch, const Real* cotangent,
                                  Derivative derivative, const uint8_t* wanted_variable, const Tape<Real>* tape,
                                  Real* input_gradient, Real* weight_gradient) {
    constexpr Mode mode = Mode::gradient_undoing_kets;
    const auto num_inputs = int64_t(plan.view().num_inputs), num_weights = int64_t(plan.view().num_weights);
    if (input_gradient != nullptr) std::fill(input_gradient, input_gradient + batch.size * num_inputs, Real(0));
    if (weight_gradient != nullptr) std::fill(weight_gradient, weight_gradient + num_weights, Real(0));
    if (batch.size == 0) return;
    const auto how = tape != nullptr ? tape->by_steps : step_schedule_of_call<Real>(plan, batch, mode);
    const StepsView<Real> steps = plan.steps()->view<Real>(how.kernel->lane_bits);
    const ProgramView view = plan.stepwise_view(how.kernel->lane_bits);
    const auto selection = plan.select(wanted_variable, derivative);
    const int first_step = plan.steps()->first_wanted(selection.angle.data());
    const auto parts = size_t(Pieces<Real>(how, batch.size).count);
    std::vector<double> sums(parts * size_t(num_weights), 0.0);  // weight gradients of each part
    Sums<Real> inputs(members(how), input_gradient, batch.size * num_inputs);
    const auto work = [&](Tile<Real>& tile, int64_t part, int64_t sample) {
        tile.recorded = tape != nullptr;
        tile.wanted = &selection.wanted;
        tile.derivative = derivative;
        tile.cotangent = cotangent + sample * view.num_values;
        if (weight_gradient != nullptr) tile.weight_gradient = sums.data() + part * num_weights;
        if (input_gradient != nullptr) tile.input_gradient = inputs.of(part) + sample * num_inputs;
        how.kernel->step_vector_jacobian_product(tile, steps, first_step);
    };
    if (!StepTiles(how, view, batch, mode, tape, work).run())
        return step_vector_jacobian_product<Real>(plan, alone(batch), cotangent, derivative, wanted_variable, nullptr,
                                                  input_gradient, weight_gradient);
    inputs.finish();
    for (int64_t w = 0; weight_gradient != nullptr && w < num_weights; ++w) {
        double sum = 0;
        for (size_t at = size_t(w); at < sums.size(); at += size_t(num_weights)) sum += sums[at];
        weight_gradient[w] = Real(sum);
    }
}

#define QTM_INSTANTIATE(Real)                                                                            \
    template StepSchedule<Real> step_schedule<Real>(const Plan&, int64_t, int, Mode);                    \
    template void step_values(const Plan&, const Batch<Real>&, Real*);                                   \
    template std::unique_ptr<Tape<Real>> step_record(const Plan&, const Batch<Real>&, Real*);            \
    template void step_vector_jacobian_product(const Plan&, const Batch<Real>&, const Real*, Derivative, \
                                               const uint8_t*, const Tape<Real>*, Real*, Real*);
QTM_INSTANTIATE(float)
QTM_INSTANTIATE(double)
#undef QTM_INSTANTIATE

}  // namespace qtm
