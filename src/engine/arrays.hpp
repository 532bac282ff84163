// The arrays of a program, as they come from the compiler.
#pragma once

#include <cstdint>
#include <vector>

namespace qtm {

// What the compiler hands over; the meaning of each array is that of its namesake in ProgramView.
struct ProgramArrays {
    int32_t num_qubits = 0, num_inputs = 0, num_weights = 0;
    std::vector<double> angle_constant, term_coefficient, observable_constant, pauli_coefficient;
    std::vector<int32_t> angle_term_begin, term_factor_begin, factor_variable;
    std::vector<int32_t> run_gate_begin, gate_axis, gate_angle;
    std::vector<uint32_t> run_x, run_z;
    std::vector<int32_t> layer_run_begin;
    std::vector<int32_t> phase_character_begin, character_source_begin, source_kind, source_index;
    std::vector<uint32_t> character_mask;
    std::vector<uint32_t> flip_mask, pauli_z;
    std::vector<int32_t> flip_term_begin, pauli_observable;
    bool is_half = false;  // of another circuit: no observables, all of the state matters
    // Passes that may be switched off.
    bool merges_diagonals = true, shares_prefix = true, absorbs_observables = true;
};

}  // namespace qtm
