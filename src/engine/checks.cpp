#include "checks.hpp"

#include <cstdint>

#include "parity.hpp"
#include "program.hpp"
#include "require.hpp"

namespace qtm {
namespace {

void check_angles(const ProgramArrays& a) {
    require(a.num_qubits >= 1 && a.num_qubits <= max_qubits, "num_qubits");
    require(a.num_inputs >= 0 && a.num_weights >= 0, "num_inputs and num_weights");
    require_ranges(a.angle_term_begin, a.angle_constant.size(), a.term_coefficient.size(), "angle_term_begin");
    require_ranges(a.term_factor_begin, a.term_coefficient.size(), a.factor_variable.size(), "term_factor_begin");
    require_indices(a.factor_variable, size_t(a.num_inputs) + size_t(a.num_weights), "factor_variable");
}

void check_runs(const ProgramArrays& a, bool starts_from_halves) {
    const size_t num_runs = a.run_x.size(), num_layers = a.layer_run_begin.size() - 1;
    const uint32_t all = (uint32_t(1) << a.num_qubits) - 1;
    require(a.run_z.size() == num_runs, "run_z");
    require_ranges(a.run_gate_begin, num_runs, a.gate_axis.size(), "run_gate_begin");
    require_indices(a.gate_axis, 3, "gate_axis");
    require(a.gate_angle.size() == a.gate_axis.size(), "gate_angle");
    require_indices(a.gate_angle, a.angle_constant.size(), "gate_angle");
    require_ranges(a.layer_run_begin, num_layers, num_runs, "layer_run_begin");
    for (size_t l = 0; l < num_layers; ++l) {
        const bool is_empty = a.layer_run_begin[l] == a.layer_run_begin[l + 1];
        require(is_empty == (starts_from_halves && l == 0), "layers need runs, but for one in the place of halves");
        for (int32_t r = a.layer_run_begin[l]; r < a.layer_run_begin[l + 1]; ++r) {
            require((a.run_x[r] & ~all) == 0 && (a.run_z[r] & ~all) == 0, "run masks");
            for (int32_t other = a.layer_run_begin[l]; other < a.layer_run_begin[l + 1]; ++other)
                require(odd(a.run_x[r] & a.run_z[other]) == (r == other), "runs of a layer must commute");
        }
    }
}

void check_phases(const ProgramArrays& a) {
    const size_t num_layers = a.layer_run_begin.size() - 1;
    require_ranges(a.phase_character_begin, num_layers + 1, a.character_mask.size(), "phase_character_begin");
    require(a.phase_character_begin[1] == 0, "the first phase must be empty");
    require_ranges(a.character_source_begin, a.character_mask.size(), a.source_kind.size(), "character_source_begin");
    for (size_t c = 0; c + 1 < a.character_source_begin.size(); ++c)
        require(a.character_source_begin[c] < a.character_source_begin[c + 1], "a character needs a source");
    for (uint32_t mask : a.character_mask) require(mask >> a.num_qubits == 0, "character_mask");
    require(a.source_index.size() == a.source_kind.size(), "source_index");
    require_indices(a.source_kind, 3, "source_kind");
    for (size_t s = 0; s < a.source_kind.size(); ++s) {
        const size_t size = a.source_kind[s] == source_rotation ? a.angle_constant.size() : a.run_x.size();
        require(a.source_index[s] >= 0 && size_t(a.source_index[s]) < size, "source_index");
    }
}

void check_observables(const ProgramArrays& a) {
    require_ranges(a.flip_term_begin, 2 * a.flip_mask.size(), a.pauli_z.size(), "flip_term_begin");
    require(a.pauli_coefficient.size() == a.pauli_z.size(), "pauli_coefficient");
    require(a.pauli_observable.size() == a.pauli_z.size(), "pauli_observable");
    require_indices(a.pauli_observable, a.observable_constant.size(), "pauli_observable");
    for (uint32_t mask : a.flip_mask) require(mask >> a.num_qubits == 0, "flip_mask");
    for (uint32_t mask : a.pauli_z) require(mask >> a.num_qubits == 0, "pauli_z");
}

void check_amplitudes(const ProgramArrays& a) {
    if (!a.reads_amplitudes()) return require(a.state_phase.empty(), "state_phase");
    require(!a.is_half && a.observable_constant.empty(), "one output");
    require(a.state_flip.size() == size_t(a.num_qubits) + 1, "state_flip");
    Span reached;
    for (size_t q = 0; q < size_t(a.num_qubits); ++q)
        require(reached.add_if_independent(a.state_flip[q]), "bits of the state must be independent");
    for (uint32_t mask : a.state_flip) require(mask >> a.num_qubits == 0, "state_flip");
    require(a.state_phase.empty() || a.state_phase.size() == 2, "state_phase");
    require_indices(a.state_phase, a.angle_constant.size(), "state_phase");
}

void check_words(const ProgramArrays& a) {
    const size_t num_grams = a.gram_half.size(), num_words = a.word_x.size();
    require_indices(a.gram_half, 2, "gram_half");
    require(a.gram_x.size() == num_grams, "gram_x");
    require(a.gram_z.size() == num_grams, "gram_z");
    require_ranges(a.gram_word_begin, num_grams, num_words, "gram_word_begin");
    require(a.word_z.size() == num_words, "word_z");
    for (const int32_t word : a.reading_word) require(word >= -1 && word < int32_t(num_words), "reading_word");
    require(a.reading_sign.size() == a.reading_word.size(), "reading_sign");
}

}  // namespace

void check(const ProgramArrays& arrays, bool starts_from_halves) {
    require(!arrays.layer_run_begin.empty(), "empty ranges");
    check_angles(arrays);
    check_runs(arrays, starts_from_halves);
    check_phases(arrays);
    check_observables(arrays);
    check_amplitudes(arrays);
    check_words(arrays);
}

}  // namespace qtm
