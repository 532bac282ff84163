// How a batch would be run.
#include "../schedule.hpp"

#include <nanobind/stl/vector.h>

#include <vector>

#include "../call.hpp"
#include "../evaluate.hpp"
#include "bindings.hpp"

namespace qtm::bindings {

namespace nb = nanobind;
using namespace nb::literals;

namespace {

// Complex products that the phase before every layer takes for an amplitude; tables are not counted.
std::vector<int> products_of_phases(const ProgramView& view) {
    std::vector<int> products;
    for (int phase = 0; phase < view.num_layers; ++phase) {
        const bool has_constant = view.phase_constant_begin[phase] < view.phase_rest_begin[phase];
        const int rest = view.phase_group_begin[phase + 1] - view.phase_rest_begin[phase];
        products.push_back(phase == 0 ? 0 : 1 + has_constant + 2 * rest);
    }
    return products;
}

// The same keys as below.
template <class Real>
nb::dict step_schedule(const Plan& plan, int64_t batch_size, int num_threads, bool gradient) {
    const auto purpose = gradient ? Purpose::recorded_gradient : Purpose::values;
    const Schedule<Real> how = qtm::step_schedule<Real>(plan, batch_size, num_threads, purpose);
    nb::dict result;
    for (const char* name : {"sweeps_of_layers", "products_of_phases"}) result[name] = std::vector<int>{};
    for (const char* name : {"measured_runs", "prefix_layers"}) result[name] = 0;
    result["lanes"] = how.kernel->lanes;
    result["is_spread"] = how.kernel->lane_bits > 0;
    result["samples_in_a_tile"] = how.samples;
    result["num_threads"] = how.num_threads;
    for (const char* name : {"keeps_kets", "shares_prefix", "absorbs_observables"}) result[name] = false;
    result["is_team"] = how.storage.is_team;
    result["tape_bytes"] = how.tape_bytes;
    result["tape_holds_kets"] = how.tape_bytes > 0;
    result["by_steps"] = true;
    result["halves"] = nb::none();
    result["words"] = 0;
    result["scratch_bytes"] = how.scratch_bytes * size_t(how.num_threads) + how.shared_bytes + how.matrix_bytes;
    return result;
}

template <class Real>
nb::dict schedule(const Plan& plan, int64_t batch_size, int num_threads, bool gradient) {
    if (runs_by_steps<Real>(plan, batch_size, std::abs(num_threads)))
        return step_schedule<Real>(plan, batch_size, num_threads, gradient);
    const auto purpose = gradient ? Purpose::recorded_gradient : Purpose::values;
    const Schedule<Real> how = qtm::schedule<Real>(plan, batch_size, num_threads, purpose);
    nb::dict result;
    result["by_steps"] = false;
    std::vector<int> sweeps;
    for (int layer = 0; layer < how.view->num_layers; ++layer)
        sweeps.push_back(how.view->layer_sweep_begin[layer + 1] - how.view->layer_sweep_begin[layer]);
    result["sweeps_of_layers"] = sweeps;
    result["products_of_phases"] = products_of_phases(*how.view);
    int measured = 0;
    for (int run = 0; how.view->absorbs && run < how.view->num_runs; ++run) measured += how.view->run_is_measured[run];
    result["measured_runs"] = measured;
    result["prefix_layers"] = prefix_layers(*how.view);
    result["lanes"] = how.kernel->lanes;
    result["is_spread"] = how.kernel->lane_bits > 0;
    result["samples_in_a_tile"] = how.samples;
    result["num_threads"] = how.num_threads;
    result["keeps_kets"] = how.storage.mode == Mode::gradient_keeping_kets;
    result["shares_prefix"] = how.storage.shares_prefix;
    result["absorbs_observables"] = bool(how.view->absorbs);
    result["is_team"] = how.storage.is_team;
    result["halves"] = nb::none();
    if (how.plan->half(0) != nullptr)
        result["halves"] = nb::make_tuple(how.plan->half(0)->view().num_qubits, how.plan->half(1)->view().num_qubits,
                                          how.view->glue_bits);
    result["words"] = how.view->num_words;
    result["scratch_bytes"] = how.scratch_bytes * size_t(how.num_threads) + how.shared_bytes + how.prefix_bytes;
    result["tape_bytes"] = how.tape_bytes;
    result["tape_holds_kets"] = how.storage.taped == Taped::all;
    return result;
}

}  // namespace

void bind_schedule(Engine& engine) {
    engine
        .def("schedule_float32", &schedule<float>, "batch_size"_a, "num_threads"_a, "gradient"_a,
             "How a batch would be run in single precision, and the scratch memory it would take.")
        .def("schedule_float64", &schedule<double>, "batch_size"_a, "num_threads"_a, "gradient"_a,
             "How a batch would be run in double precision, and the scratch memory it would take.");
}

}  // namespace qtm::bindings
