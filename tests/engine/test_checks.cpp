// What the checks of a program let through and what they do not: every limit, from both sides.
#include <functional>
#include <limits>
#include <stdexcept>
#include <string>

#include "check.hpp"
#include "plan.hpp"

using namespace qtm;

namespace {

// Two qubits, two inputs, a weight, two layers: RY(x0 w0 + 1) on the first qubit and RX on the second; Z and XX.
ProgramArrays two_layers() {
    ProgramArrays a;
    a.num_qubits = 2, a.num_inputs = 2, a.num_weights = 1;
    a.angle_constant = {1, 0};
    a.angle_term_begin = {0, 1, 2};
    a.term_coefficient = {1, 2};
    a.term_factor_begin = {0, 2, 3};
    a.factor_variable = {0, 2, 1};
    a.run_gate_begin = {0, 1, 2, 4};
    a.gate_axis = {axis_y, axis_x, axis_z, axis_y};
    a.gate_angle = {0, 1, 1, 0};
    a.run_x = {1, 2, 1};
    a.run_z = {1, 2, 1};
    a.layer_run_begin = {0, 2, 3};
    a.phase_character_begin = {0, 0, 1, 2};
    a.character_mask = {3, 1};
    a.character_source_begin = {0, 2, 3};
    a.source_kind = {source_rotation, source_run_left, source_run_right};
    a.source_index = {1, 1, 2};
    a.observable_constant = {0.5, 0};
    a.flip_mask = {0, 3};
    a.flip_term_begin = {0, 1, 1, 2, 2};
    a.gram_word_begin = {0};
    a.pauli_z = {1, 0};
    a.pauli_coefficient = {1, 1};
    a.pauli_observable = {0, 1};
    return a;
}

StepArrays three_steps() {
    StepArrays s;
    s.kind = {step_y, step_matrix, step_diagonal};
    s.angle = {0, 0, 1};
    s.x = {1, 0, 0};
    s.z = {1, 0, 0};
    s.qubit_begin = {0, 0, 2, 3};
    s.qubit_flip = {1, 2, 2};
    s.qubit_sign = {1, 2, 2};
    s.qubit_is_negative = {0, 1, 0};
    s.columns = {0, 2, 0};
    s.entry_begin = {0, 0, 16, 18};
    s.entries.assign(18, 0.5);
    return s;
}

ProgramArrays without_layers(int num_qubits) {
    ProgramArrays a = two_layers();
    a.num_qubits = num_qubits;
    a.run_gate_begin = {0};
    a.gate_axis = a.gate_angle = {};
    a.run_x = a.run_z = {};
    a.layer_run_begin = {0};
    a.phase_character_begin = {0, 0};
    a.character_mask = {};
    a.character_source_begin = {0};
    a.source_kind = a.source_index = {};
    return a;
}

// Empty: accepted; otherwise why not.
std::string verdict(const std::function<void()>& build) {
    try {
        build();
    } catch (const std::invalid_argument& error) {
        return error.what();
    }
    return {};
}

using Change = std::function<void(ProgramArrays&)>;
std::string verdict(const Change& change) {
    ProgramArrays arrays = two_layers();
    change(arrays);
    return verdict([&] { Plan{arrays}; });
}

using StepChange = std::function<void(StepArrays&)>;
std::string verdict_of_steps(const StepChange& change) {
    StepArrays steps = three_steps();
    change(steps);
    return verdict([&] { Steps{steps, 2, 2}; });
}

#define ACCEPTED(...) CHECK(verdict([]([[maybe_unused]] ProgramArrays& a) { __VA_ARGS__; }).empty())
#define REFUSED(what, ...) \
    CHECK(verdict([]([[maybe_unused]] ProgramArrays& a) { __VA_ARGS__; }) == "inconsistent program: " what)
#define STEP_ACCEPTED(...) CHECK(verdict_of_steps([]([[maybe_unused]] StepArrays& s) { __VA_ARGS__; }).empty())
#define STEP_REFUSED(what, ...) \
    CHECK(verdict_of_steps([]([[maybe_unused]] StepArrays& s) { __VA_ARGS__; }) == "inconsistent program: " what)

void sizes() {
    ACCEPTED();
    REFUSED("num_qubits", a.num_qubits = 0);
    REFUSED("num_qubits", a.num_qubits = -1);
    REFUSED("num_qubits", a.num_qubits = max_qubits + 1);
    REFUSED("num_inputs and num_weights", a.num_inputs = -1);
    REFUSED("num_inputs and num_weights", a.num_weights = -1);
    for (const int num_qubits : {1, 2, max_qubits}) {
        ProgramArrays a = without_layers(num_qubits);
        a.flip_mask = {0, uint32_t((uint64_t(1) << num_qubits) - 1)};
        a.pauli_z = {a.flip_mask[1], 0};
        CHECK(verdict([&] { Plan{a}; }).empty());
        a.flip_mask[1] = uint32_t(1) << num_qubits;
        CHECK(verdict([&] { Plan{a}; }) == "inconsistent program: flip_mask");
    }
    ProgramArrays none = without_layers(2);
    none.num_inputs = none.num_weights = 0;
    none.term_coefficient = {}, none.factor_variable = {};
    none.angle_constant = {}, none.angle_term_begin = none.term_factor_begin = {0};
    CHECK(verdict([&] { Plan{none}; }).empty());
    REFUSED("empty ranges", a.layer_run_begin = {});
}

void angles() {
    ACCEPTED(a.factor_variable = {0, 2, 2});
    REFUSED("factor_variable", a.factor_variable[1] = 3);
    REFUSED("factor_variable", a.factor_variable[1] = -1);
    REFUSED("angle_term_begin", a.angle_term_begin = {0, 1});
    REFUSED("angle_term_begin", a.angle_term_begin = {0, 1, 2, 2});
    REFUSED("angle_term_begin", a.angle_term_begin = {1, 1, 2});
    REFUSED("angle_term_begin", a.angle_term_begin = {0, 1, 1});
    REFUSED("angle_term_begin", a.angle_term_begin = {0, 1, 3});
    REFUSED("angle_term_begin", a.angle_term_begin = {0, 3, 2});
    ACCEPTED(a.angle_term_begin = {0, 0, 2});
    ACCEPTED(a.angle_term_begin = {0, 2, 2});
    REFUSED("term_factor_begin", a.term_factor_begin = {0, 2, 4});
    ACCEPTED(a.term_factor_begin = {0, 0, 3});
}

void runs() {
    REFUSED("run_z", a.run_z.pop_back());
    REFUSED("run_z", a.run_z.push_back(0));
    REFUSED("run_gate_begin", a.run_gate_begin = {0, 1, 4});
    ACCEPTED(a.run_gate_begin = {0, 1, 1, 4});  // a run without gates
    REFUSED("gate_axis", a.gate_axis[0] = 3);
    REFUSED("gate_axis", a.gate_axis[0] = -1);
    ACCEPTED(a.gate_axis[0] = axis_z);
    REFUSED("gate_angle", a.gate_angle.pop_back());
    REFUSED("gate_angle", a.gate_angle[0] = 2);
    REFUSED("gate_angle", a.gate_angle[0] = -1);
    REFUSED("layer_run_begin", a.layer_run_begin = {0, 2, 4});
    REFUSED("layer_run_begin", a.layer_run_begin = {0, 3, 2});
    REFUSED("layers need runs, but for one in the place of halves", a.layer_run_begin = {0, 0, 3});
    REFUSED("layers need runs, but for one in the place of halves", a.layer_run_begin = {0, 2, 3, 3});
    REFUSED("run masks", a.run_x[2] = 4; a.run_z[2] = 4);
    REFUSED("run masks", a.run_z[2] = 5);
    ACCEPTED(a.run_x[2] = 3);
    REFUSED("runs of a layer must commute", a.run_z[2] = 2);  // no qubit: X and Z commute
    REFUSED("runs of a layer must commute", a.run_x[1] = 3);  // X of the second anticommutes with Z of the first
    REFUSED("runs of a layer must commute", a.run_z[1] = 3);
}

void phases() {
    REFUSED("phase_character_begin", a.phase_character_begin = {0, 0, 2});
    REFUSED("phase_character_begin", a.phase_character_begin = {0, 0, 1, 3});
    REFUSED("the first phase must be empty", a.phase_character_begin = {0, 1, 1, 2});
    ACCEPTED(a.phase_character_begin = {0, 0, 0, 2});
    REFUSED("character_source_begin", a.character_source_begin = {0, 2, 4});
    REFUSED("a character needs a source", a.character_source_begin = {0, 0, 3});
    REFUSED("a character needs a source", a.character_source_begin = {0, 3, 3});
    ACCEPTED(a.character_source_begin = {0, 1, 3});
    REFUSED("character_mask", a.character_mask[0] = 4);
    ACCEPTED(a.character_mask[0] = 1);
    REFUSED("source_index", a.source_index.pop_back());
    REFUSED("source_kind", a.source_kind[0] = 3);
    REFUSED("source_kind", a.source_kind[0] = -1);
    ACCEPTED(a.source_index[0] = 0);
    REFUSED("source_index", a.source_index[0] = 2);                        // of two angles
    ACCEPTED(a.source_kind[0] = source_run_right; a.source_index[0] = 2);  // of three runs
    REFUSED("source_index", a.source_index[1] = 3);
    REFUSED("source_index", a.source_index[0] = -1);
    REFUSED("source_index", a.source_index[2] = -1);
}

void observables() {
    REFUSED("flip_term_begin", a.flip_term_begin = {0, 1, 2});
    REFUSED("flip_term_begin", a.flip_term_begin = {0, 1, 1, 2, 3});
    REFUSED("pauli_coefficient", a.pauli_coefficient.pop_back());
    REFUSED("pauli_observable", a.pauli_observable.pop_back());
    REFUSED("pauli_observable", a.pauli_observable[0] = 2);
    REFUSED("pauli_observable", a.pauli_observable[0] = -1);
    REFUSED("flip_mask", a.flip_mask[1] = 4);
    REFUSED("pauli_z", a.pauli_z[0] = 4);
    ACCEPTED(a.pauli_z[0] = 3);
}

// The same circuit, of which the state is read in the order of two other qubits, the second of them negative.
std::string verdict_of_state(const Change& change) {
    return verdict([&](ProgramArrays& a) {
        a.observable_constant = {};
        a.flip_mask = a.pauli_z = {};
        a.flip_term_begin = {0};
        a.gram_word_begin = {0};
        a.pauli_observable = {}, a.pauli_coefficient = {};
        a.state_flip = {3, 2, 2};
        a.state_phase = {1, 0};
        change(a);
    });
}

#define STATE_REFUSED(what, ...) \
    CHECK(verdict_of_state([]([[maybe_unused]] ProgramArrays& a) { __VA_ARGS__; }) == "inconsistent program: " what)

void states() {
    CHECK(verdict_of_state([](ProgramArrays&) {}).empty());
    CHECK(verdict_of_state([](ProgramArrays& a) { a.state_phase = {}; }).empty());  // its probabilities
    STATE_REFUSED("state_flip", a.state_flip.pop_back());
    STATE_REFUSED("state_flip", a.state_flip.push_back(0));
    STATE_REFUSED("state_flip", a.state_flip[0] = 7);
    STATE_REFUSED("state_flip", a.state_flip[2] = 4);
    STATE_REFUSED("bits of the state must be independent", a.state_flip[0] = 2);
    STATE_REFUSED("bits of the state must be independent", a.state_flip[0] = 0);
    STATE_REFUSED("state_phase", a.state_phase = {1});
    STATE_REFUSED("state_phase", a.state_phase = {1, 0, 1});
    STATE_REFUSED("state_phase", a.state_phase = {2, 0});
    STATE_REFUSED("state_phase", a.state_phase = {1, -1});
    STATE_REFUSED("state_phase", a.state_flip = {});
    STATE_REFUSED("one output", a.is_half = true);
    STATE_REFUSED("one output", a.observable_constant = {0.5});
}

// A circuit of `num_qubits` from halves of `low` and `high` qubits, in which the rest has one layer.
std::string verdict_of_halves(int num_qubits, int low, int high, int glue, const Change& change_rest = {},
                              const Change& change_half = {}) {
    return verdict([&] {
        Plan::Halves halves{};
        halves.glue_bits = glue;
        halves.relative_cost = 1;
        for (int i = 0; i < 2; ++i) {
            ProgramArrays half = without_layers(i == 0 ? low : high);
            half.is_half = true;
            half.observable_constant = {};
            half.flip_mask = half.pauli_z = {};
            half.flip_term_begin = {0};
            half.pauli_observable = {}, half.pauli_coefficient = {};
            if (change_half) change_half(half);
            halves.half[size_t(i)] = std::make_unique<const Plan>(std::move(half));
        }
        ProgramArrays rest = two_layers();
        rest.num_qubits = num_qubits;
        rest.layer_run_begin = {0, 0, 3};
        rest.run_x = rest.run_z = {1, 2, 4};
        if (change_rest) change_rest(rest);
        const Plan plan(std::move(rest), std::move(halves));
        CHECK(plan.half(1) != nullptr);
    });
}

void halves() {
    for (int glue = 0; glue <= most_glue_bits; ++glue) {
        CHECK(verdict_of_halves(6, 3 + glue, 3 + glue, glue).empty());
        CHECK(verdict_of_halves(6, 5 + glue, 1 + glue, glue).empty());
        CHECK(verdict_of_halves(6, 6 + glue, glue, glue) ==
              (glue == 0 ? "inconsistent program: num_qubits" : "inconsistent program: qubits of a half"));
        CHECK(verdict_of_halves(6, 4 + glue, 3 + glue, glue) == "inconsistent program: qubits of the halves");
        CHECK(verdict_of_halves(6, 3 + glue, 2 + glue, glue) == "inconsistent program: qubits of the halves");
    }
    CHECK(verdict_of_halves(6, 8, 8, most_glue_bits + 1) == "inconsistent program: halves");
    CHECK(verdict_of_halves(6, 3, 3, -1) == "inconsistent program: halves");
    CHECK(verdict_of_halves(6, 3, 3, 0, {}, [](ProgramArrays& a) { a.is_half = false; }) ==
          "inconsistent program: a half");
    CHECK(verdict_of_halves(6, 3, 3, 0, {}, [](ProgramArrays& a) { ++a.num_inputs; }) ==
          "inconsistent program: a half");
    CHECK(verdict_of_halves(6, 3, 3, 0, {}, [](ProgramArrays& a) { ++a.num_weights; }) ==
          "inconsistent program: a half");
    CHECK(verdict_of_halves(6, 3, 3, 0, [](ProgramArrays& a) { a.layer_run_begin = {0, 1, 3}; }) ==
          "inconsistent program: layers need runs, but for one in the place of halves");
}

void steps() {
    STEP_ACCEPTED();
    STEP_REFUSED("steps", s.angle.pop_back());
    STEP_REFUSED("steps", s.x.pop_back());
    STEP_REFUSED("steps", s.z.pop_back());
    STEP_REFUSED("steps", s.columns.pop_back());
    STEP_REFUSED("qubit_begin", s.qubit_begin = {0, 0, 2, 4});
    STEP_REFUSED("qubits", s.qubit_sign.pop_back());
    STEP_REFUSED("qubits", s.qubit_is_negative.pop_back());
    STEP_REFUSED("entry_begin", s.entry_begin[3] = 19);
    STEP_REFUSED("step masks", s.x[0] = 5);
    STEP_REFUSED("step masks", s.z[0] = 5);
    STEP_REFUSED("qubit_flip", s.qubit_flip[2] = 6);
    STEP_REFUSED("qubit_sign", s.qubit_sign[2] = 6);
    STEP_REFUSED("step_kind", s.kind[0] = -1);
    STEP_REFUSED("step_kind", s.kind[0] = 5);
    STEP_REFUSED("step_angle", s.angle[0] = 2);
    STEP_REFUSED("step_angle", s.angle[0] = -1);
    STEP_ACCEPTED(s.angle[1] = -1);  // a matrix has none
    STEP_REFUSED("columns of what is no matrix", s.columns[0] = 1);
    STEP_REFUSED("a rotation has no entries", s.entry_begin = {0, 2, 16, 18});
    STEP_REFUSED("a rotation about X or Y flips, one about Z does not", s.kind[0] = step_z);
    STEP_REFUSED("a rotation about X or Y flips, one about Z does not", s.kind[0] = step_x; s.x[0] = 0);
    STEP_ACCEPTED(s.kind[0] = step_z; s.x[0] = 0);
    STEP_ACCEPTED(s.kind[0] = step_x; s.z[0] = 0);
    STEP_REFUSED("a rotation about Y", s.z[0] = 2);
    STEP_ACCEPTED(s.z[0] = 3);
    STEP_REFUSED("qubits of a step", s.qubit_begin = {0, 0, 3, 3});
    STEP_REFUSED("qubits of a step", s.qubit_begin = {0, 0, 0, 3});
    STEP_REFUSED("qubits of a step must be independent", s.qubit_sign[1] = 1);
    STEP_REFUSED("qubits of a step must be independent", s.qubit_sign[1] = 3);
    STEP_ACCEPTED(s.columns[1] = 1; s.entry_begin = {0, 0, 8, 10}; s.entries.resize(10));
    STEP_ACCEPTED(s.columns[1] = 4; s.entry_begin = {0, 0, 32, 34}; s.entries.resize(34));
    STEP_REFUSED("columns of a matrix", s.columns[1] = 0; s.entry_begin = {0, 0, 0, 2}; s.entries.resize(2));
    STEP_REFUSED("columns of a matrix", s.columns[1] = 3; s.entry_begin = {0, 0, 24, 26}; s.entries.resize(26));
    STEP_REFUSED("columns of a matrix", s.columns[1] = 8; s.entry_begin = {0, 0, 64, 66}; s.entries.resize(66));
    STEP_REFUSED("entries of a matrix", s.entry_begin = {0, 0, 15, 17}; s.entries.resize(17));
    STEP_REFUSED("entries of a matrix", s.entry_begin = {0, 0, 17, 19}; s.entries.resize(19));
    STEP_REFUSED("entries of a diagonal", s.entry_begin = {0, 0, 16, 17}; s.entries.resize(17));
    STEP_REFUSED("entries of a diagonal", s.entry_begin = {0, 0, 16, 19}; s.entries.resize(19));
    CHECK(verdict([] { Steps{three_steps(), 0, 2}; }) == "inconsistent program: num_qubits");
    CHECK(verdict([] { Steps{three_steps(), max_qubits + 1, 2}; }) == "inconsistent program: num_qubits");
    CHECK(verdict([] { Steps{three_steps(), max_qubits, 2}; }).empty());
    const auto with_steps = [](ProgramArrays arrays) {
        return verdict([&] { Plan(std::move(arrays), {}, nullptr, nullptr, three_steps()); });
    };
    CHECK(with_steps(without_layers(2)).empty());
    CHECK(with_steps(two_layers()) == "inconsistent program: steps beside layers");
}

// A rotation about Y of the first qubit, where the second one is in |0>.
StepArrays controlled() {
    StepArrays s;
    s.kind = {step_y};
    s.angle = {0};
    s.x = s.z = {1};
    s.qubit_begin = {0, 1};
    s.qubit_flip = s.qubit_sign = {2};
    s.qubit_is_negative = {0};
    s.columns = {0};
    s.entry_begin = {0, 0};
    return s;
}

void controls() {
    const auto refused = [](auto change) {
        StepArrays s = controlled();
        change(s);
        return verdict([&] { Steps{s, 2, 1}; });
    };
    CHECK(refused([](StepArrays&) {}).empty());
    CHECK(refused([](StepArrays& s) { s.kind[0] = step_x; }).empty());
    CHECK(refused([](StepArrays& s) {
              s.x[0] = 3;
              s.z[0] = 1;
          }) == "inconsistent program: a rotation must not flip its controls");
    CHECK(refused([](StepArrays& s) {
              s.kind[0] = step_z;
              s.x[0] = 0;
          }) == "inconsistent program: a rotation about Z has no controls");
    CHECK(refused([](StepArrays& s) { s.qubit_flip[0] = 1; }) ==
          "inconsistent program: qubits of a step must be independent");
    CHECK(refused([](StepArrays& s) {
              s.entries = {0.5};
              s.entry_begin[1] = 1;
          }) == "inconsistent program: a rotation has no entries");
    CHECK(!Steps(controlled(), 2, 1).hold_matrices());
    CHECK(Steps(three_steps(), 2, 2).hold_matrices());
    const auto beside = [](ProgramArrays arrays) {
        return verdict([&] { Plan(std::move(arrays), {}, nullptr, nullptr, controlled()); });
    };
    CHECK(beside(two_layers()).empty());
    ProgramArrays of_state = two_layers();
    of_state.observable_constant = {};
    of_state.flip_mask = {};
    of_state.flip_term_begin = {0};
    of_state.pauli_z = {};
    of_state.pauli_coefficient = {};
    of_state.pauli_observable = {};
    of_state.state_flip = {1, 2, 0};
    of_state.state_phase = {1, 0};
    CHECK(beside(of_state).empty());
    const Plan both(of_state, {}, nullptr, nullptr, controlled());
    CHECK(*both.view().state_phase == 1 && *both.stepwise_view(0).state_phase == 0);
    // Visited: one of each pair, of those where the second qubit is in |0>; in lanes, all of one vector.
    const ControlsView batched = *Steps(controlled(), 2, 1).view<float>(0).controls;
    CHECK(batched.first == 0 && batched.count == 1 && batched.bits == 0);
    const ControlsView spread = *Steps(controlled(), 2, 1).view<float>(2).controls;
    CHECK(spread.first == 0 && spread.count == 1 && spread.bits == 1 && spread.lane[0] == 2);
}

}  // namespace

int main() {
    return check::run({TEST(sizes), TEST(angles), TEST(runs), TEST(phases), TEST(observables), TEST(states),
                       TEST(halves), TEST(steps), TEST(controls)});
}
