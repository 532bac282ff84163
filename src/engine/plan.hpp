// The owner of a program's arrays: checks what the compiler hands over and derives what the kernels need on top.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "program.hpp"

namespace qtm {

// What the compiler hands over; the meaning of each array is that of its namesake in ProgramView.
struct ProgramArrays {
    int32_t num_qubits = 0, num_inputs = 0, num_weights = 0;
    std::vector<double> angle_constant, term_coefficient, observable_constant, pauli_coefficient;
    std::vector<int32_t> angle_term_begin, term_factor_begin, factor_variable;
    std::vector<int32_t> run_gate_begin, gate_axis, gate_angle;
    std::vector<uint32_t> run_x, run_z;
    std::vector<int32_t> layer_run_begin, layer_sweep_begin, sweep_run_begin;
    std::vector<int32_t> phase_group_begin, group_character_begin, character_source_begin, source_kind, source_index;
    std::vector<uint32_t> character_mask;
    std::vector<uint32_t> flip_mask, pauli_z;
    std::vector<int32_t> flip_term_begin, pauli_observable;
};

class Plan {
   public:
    // Throws std::invalid_argument where the arrays contradict each other.
    explicit Plan(ProgramArrays arrays);
    Plan(const Plan&) = delete;
    Plan& operator=(const Plan&) = delete;

    const ProgramView& view() const { return view_; }
    const ProgramArrays& arrays() const { return given_; }

    // Runs, layers and phases that hold an angle depending on a wanted variable.
    struct Selection {
        std::vector<uint8_t> angle, run, phase;
        Wanted wanted;
    };
    Selection select(const uint8_t* wanted_variable) const;

   private:
    void derive_variation();
    void derive_sweeps();
    void derive_tables();
    void link();
    void add_group_coordinates(int group, int sweep);

    ProgramArrays given_;
    std::vector<uint8_t> angle_varies_, run_is_real_, run_varies_, layer_varies_, phase_varies_;
    std::vector<int32_t> sweep_bits_, sweep_offset_begin_, sweep_basis_begin_;
    std::vector<uint32_t> sweep_offset_, sweep_basis_;
    std::vector<int32_t> group_offset_begin_, group_basis_begin_, group_table_begin_;
    std::vector<uint32_t> group_offset_, group_basis_;
    ProgramView view_{};
};

}  // namespace qtm
