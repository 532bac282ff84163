#include "evaluate.hpp"

#include <memory>

#include "call.hpp"
#include "tiles.hpp"

namespace qtm {
namespace {

// Returns what became of the team.
template <class Real>
TeamResult run_values(const Schedule<Real>& how, const Batch<Real>& batch, const Tape<Real>* tape, Real* values) {
    const int64_t num_values = how.view->num_values;
    const bool adds_up = how.view->output == Output::expectation_values;
    Sums<Real> sums(members(how), values, batch.size * num_values, adds_up);
    const auto work = [&](const Kernel<Real>& kernel, Tile<Real>& tile, int64_t part, int64_t sample) {
        tile.values = sums.of(part) + sample * num_values;
        if (how.by_steps)
            return kernel.step_values(tile, how.plan->steps()->template view<NumberOf<Real>>(kernel.lane_bits));
        kernel.values(tile);
    };
    const TeamResult team = Tiles(how, batch, tape, work).run();
    sums.finish();
    return team;
}

}  // namespace

template <class Real>
void values(const Plan& plan, const Batch<Real>& batch, Real* values) {
    if (batch.size == 0) return;
    const auto how = schedule_of_call<Real>(plan, batch, Purpose::values);
    if (run_values<Real>(how, batch, nullptr, values).size == 0) qtm::values(plan, alone(batch), values);
}

template <class Real>
std::unique_ptr<Tape<Real>> record(const Plan& plan, const Batch<Real>& batch, Real* values) {
    if (batch.size == 0) return nullptr;
    const auto how = schedule_of_call<Real>(plan, batch, Purpose::recorded_gradient);
    if (how.tape_bytes == 0) {
        qtm::values(plan, batch, values);
        return nullptr;
    }
    std::unique_ptr<Tape<Real>> tape(new Tape<Real>{how, plan.number(), batch.size, Scratch(how.tape_bytes), {}, {}});
    Schedule<Real> forward = how;
    if (how.by_steps || how.storage.taped == Taped::all_but_kets) forward.storage.mode = Mode::values;
    const TeamResult team = run_values<Real>(forward, batch, tape.get(), values);
    if (team.size == 0) return record(plan, alone(batch), values);
    // A team that lost a member will not come together again soon.
    if (team.size_at_end < team.size) return nullptr;
    tape->team_size = team.size;
    tape->inputs.assign(batch.inputs, batch.inputs + batch.size * how.view->num_inputs);
    tape->weights.assign(batch.weights, batch.weights + how.view->num_weights);
    return tape;
}

#define QTM_INSTANTIATE(Real)                                     \
    template void values(const Plan&, const Batch<Real>&, Real*); \
    template std::unique_ptr<Tape<Real>> record(const Plan&, const Batch<Real>&, Real*);
QTM_INSTANTIATE(float)
QTM_INSTANTIATE(double)
#undef QTM_INSTANTIATE

#define QTM_INSTANTIATE(Real) template void values(const Plan&, const Batch<Real>&, Real*);
QTM_INSTANTIATE(FirstJet<float>)
QTM_INSTANTIATE(FirstJet<double>)
QTM_INSTANTIATE(SecondJet<float>)
QTM_INSTANTIATE(SecondJet<double>)
#undef QTM_INSTANTIATE

}  // namespace qtm
