// The owner of a program's arrays: checks what the compiler hands over and derives what the kernels need on top.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "derived.hpp"
#include "program.hpp"
#include "steps.hpp"

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

// How sweeps visit the state when its lowest `lane_bits` index bits lie in the lanes of a vector.
class Sweeps {
   public:
    // Of the last layer, only runs that are measured are swept, where they are given. In a team, threads share cosets:
    // these are many and small.
    Sweeps(const ProgramArrays& arrays, int lane_bits, const std::vector<uint8_t>* measured_run, bool is_team);
    Sweeps(const Sweeps&) = delete;

    void link(ProgramView& view) const;

   private:
    void split_layer(int layer, const std::vector<uint8_t>* swept_run);
    void add_sweep(const std::vector<int32_t>& runs, const std::vector<int32_t>& lane_runs, int most_near);
    void number_kets(bool absorbs);
    void order_product();
    std::vector<uint32_t> columns(size_t sweep) const;
    void lie_in_order();
    void add_phases();
    void add_phase(int phase);
    void add_groups(const std::vector<int32_t>& characters, const std::vector<uint32_t>& masks,
                    const std::vector<uint32_t>& offsets, const std::vector<uint32_t>& basis, size_t count);

    const ProgramArrays& given_;
    int lane_bits_;
    size_t most_runs_;  // in a sweep
    std::vector<int32_t> layer_sweep_begin_{0}, sweep_run_begin_{0}, sweep_run_, sweep_lane_run_begin_{0},
        sweep_lane_run_, sweep_bits_, sweep_outer_bits_, sweep_near_bits_, sweep_offset_begin_{0},
        sweep_basis_begin_{0}, sweep_ket_;
    std::vector<uint32_t> sweep_offset_, sweep_basis_;
    bool in_order_ = false;
    std::vector<uint32_t> sweep_order_, character_mask_, flip_mask_, pauli_z_;
    std::vector<int32_t> product_run_;
    std::vector<uint32_t> product_flip_;
    int32_t num_product_lane_runs_ = 0;
    bool product_is_scattered_ = false;
    std::vector<int32_t> phase_table_bits_, phase_table_begin_, phase_variant_begin_, phase_group_begin_,
        phase_constant_begin_, phase_rest_begin_, group_character_begin_{0}, group_character_, group_table_begin_,
        group_offset_begin_, group_basis_begin_;
    std::vector<uint32_t> phase_variant_step_, group_offset_, group_basis_;
    int32_t table_vectors_ = 0, filling_vectors_ = 0;
};

class Plan {
   public:
    // What a circuit starts from in place of its first layer; nothing: from |0...0>.
    struct Halves {
        std::array<std::unique_ptr<const Plan>, 2> half;  // low and high
        int32_t glue_bits;
        double relative_cost;
    };

    // `halved`: the same circuit from halves on, if there are any; `steps`: of a circuit that holds matrices, which has
    // no layers. Throws std::invalid_argument where the arrays contradict each other.
    explicit Plan(ProgramArrays arrays, Halves halves = {}, std::unique_ptr<const Plan> halved = nullptr,
                  std::optional<StepArrays> steps = std::nullopt);
    Plan(const Plan&) = delete;
    Plan& operator=(const Plan&) = delete;

    const ProgramView& view() const { return common_; }
    // No two plans of a process have the same.
    uint64_t number() const { return number_; }
    // For kernels whose lanes hold `lane_bits` index bits, with the last layer absorbed by the observables if that is
    // allowed and possible, for one thread or a team; null where the circuit cannot be run so. Derived when first asked
    // for.
    const ProgramView* view(int lane_bits, bool may_absorb, bool is_team) const;

    // The halves that it starts from; null: it does not.
    const Plan* half(int i) const { return halves_.half[size_t(i)].get(); }
    // The same circuit from halves on, or null.
    const Plan* halved() const { return halved_.get(); }

    // The steps of a circuit that holds matrices, or null; what else kernels read of it.
    const Steps* steps() const { return steps_.get(); }
    ProgramView stepwise_view(int lane_bits) const;

    // Runs, layers and phases that hold an angle depending on a wanted variable.
    struct Selection {
        std::vector<uint8_t> angle, run, phase;
        std::vector<Selection> halves;
        Wanted wanted{};
    };
    Selection select(const uint8_t* wanted_variable, Derivative derivative) const;

   private:
    struct Geometry {
        Sweeps sweeps;
        ProgramView view;
    };

    void check_halves() const;
    void derive_variation();
    void derive_absorption();
    void link();

    uint64_t number_;
    ProgramArrays given_;
    Halves halves_;
    std::unique_ptr<const Plan> halved_;
    std::unique_ptr<const Steps> steps_;
    std::vector<uint8_t> angle_varies_, run_is_real_, run_varies_, layer_varies_, phase_varies_;
    std::vector<int32_t> term_run_;
    std::vector<uint8_t> run_is_measured_;
    bool can_absorb_ = false;
    ProgramView common_{};
    std::array<Derived<Geometry>, 2 * 2 * 6> geometry_;
};

}  // namespace qtm
