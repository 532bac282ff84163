// How sweeps visit the state: derived from a program for one width of vectors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "arrays.hpp"
#include "energies.hpp"
#include "parity.hpp"
#include "program.hpp"
#include "tuning.hpp"

namespace qtm {

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
    void add_sweep(const std::vector<int32_t>& runs, const std::vector<int32_t>& lane_runs, int most_near, int phase);
    void add_lane_run(const std::vector<int32_t>& runs, Span& reached, int32_t run);
    size_t passive_bits(const std::vector<uint32_t>& flips, const std::vector<uint32_t>& rest, int phase) const;
    size_t num_untabled(const std::vector<uint32_t>& flips, const std::vector<uint32_t>& cosets, int phase) const;
    void number_kets(bool absorbs);
    void order_product();
    std::vector<uint32_t> columns(size_t sweep) const;
    void lie_in_order();
    void add_energies();
    bool add_phase_sums(int phase);
    void add_phases();
    void add_phase(int phase);
    void add_groups(const std::vector<int32_t>& characters, const std::vector<uint32_t>& masks,
                    const std::vector<uint32_t>& offsets, const std::vector<uint32_t>& basis, size_t count);

    const ProgramArrays& given_;
    int lane_bits_;
    bool is_large_;     // blocks may be: then states lie in the order of sweeps
    size_t most_runs_;  // in a sweep
    std::vector<int32_t> layer_sweep_begin_{0}, sweep_run_begin_{0}, sweep_run_, sweep_lane_run_begin_{0},
        sweep_lane_run_, sweep_bits_, sweep_outer_bits_, sweep_near_bits_, sweep_offset_begin_{0},
        sweep_basis_begin_{0}, sweep_ket_;
    std::vector<uint32_t> sweep_lane_flip_, sweep_lane_partner_, sweep_offset_, sweep_basis_;
    bool in_order_ = false;
    std::vector<uint32_t> sweep_order_, character_mask_, flip_mask_, pauli_z_, state_flip_;
    std::vector<int32_t> product_run_;
    std::vector<uint32_t> product_flip_;
    int32_t num_product_lane_runs_ = 0;
    bool product_is_scattered_ = false;
    std::vector<int32_t> phase_table_bits_, phase_table_begin_, phase_variant_begin_, phase_group_begin_,
        phase_constant_begin_, phase_rest_begin_, group_character_begin_{0}, group_character_, group_table_begin_,
        group_offset_begin_, group_basis_begin_;
    std::vector<uint32_t> phase_variant_step_, group_offset_, group_basis_;
    int32_t table_vectors_ = 0, filling_vectors_ = 0;
    Energies energies_;
    std::vector<int32_t> phase_sum_begin_{0, 0}, phase_sum_angle_;
    std::vector<int64_t> phase_sum_energy_;
    int64_t observable_energy_ = -1;
};

// Whether a block may be as large as the state, so that a layer of all qubits is one sweep.
inline bool has_large_blocks(int num_qubits, int lane_bits) {
    return num_qubits - lane_bits <= int(tuning::most_runs_of_layer);
}

// Blocks have so many bits at least: fewer vectors make none.
inline constexpr size_t least_block_bits = 3;

// Whether the last phase shows: where an observable flips bits, or all of the state matters.
bool last_phase_acts(const ProgramArrays& arrays);

}  // namespace qtm
