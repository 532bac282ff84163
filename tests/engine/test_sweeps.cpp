// How sweeps visit the state: every amplitude once, whatever the width of vectors, for one thread or a team.
#include <algorithm>
#include <random>
#include <set>
#include <vector>

#include "check.hpp"
#include "parity.hpp"
#include "plan.hpp"
#include "tuning.hpp"

using namespace qtm;

namespace {

// Layers of RY on virtual qubits that CX gates have mixed, on so many of them at most.
ProgramArrays random_layers(int num_qubits, int num_layers, int most_runs, std::mt19937& random) {
    ProgramArrays a;
    a.num_qubits = num_qubits, a.num_weights = 1;
    a.angle_constant = {0};
    a.angle_term_begin = a.term_factor_begin = {0, 1};
    a.term_coefficient = {1}, a.factor_variable = {0};
    a.run_gate_begin = a.layer_run_begin = a.character_source_begin = {0};
    a.phase_character_begin = {0, 0};
    std::vector<uint32_t> x, z;
    for (int q = 0; q < num_qubits; ++q) x.push_back(1u << q), z.push_back(1u << q);
    for (int layer = 0; layer < num_layers; ++layer) {
        for (int gate = 0; gate < 2 * num_qubits && num_qubits > 1; ++gate) {
            const size_t control = random() % size_t(num_qubits), target = random() % size_t(num_qubits);
            if (control == target) continue;
            x[control] ^= x[target];
            z[target] ^= z[control];
        }
        for (int q = 0; q < std::min(most_runs, num_qubits); ++q) {
            if (q > 0 && random() % 4 == 0) continue;
            a.run_x.push_back(x[size_t(q)]), a.run_z.push_back(z[size_t(q)]);
            a.gate_axis.push_back(axis_y), a.gate_angle.push_back(0);
            a.run_gate_begin.push_back(int32_t(a.gate_axis.size()));
        }
        a.layer_run_begin.push_back(int32_t(a.run_x.size()));
        for (int c = 0; c < 3; ++c) {
            a.character_mask.push_back(random() & ((1u << num_qubits) - 1));
            a.source_kind.push_back(source_rotation), a.source_index.push_back(0);
            a.character_source_begin.push_back(int32_t(a.source_kind.size()));
        }
        a.phase_character_begin.push_back(int32_t(a.character_mask.size()));
    }
    a.observable_constant = {0};
    a.flip_mask = {0}, a.flip_term_begin = {0, 1, 1}, a.gram_word_begin = {0}, a.pauli_z = {1},
    a.pauli_coefficient = {1};
    a.pauli_observable = {0};
    return a;
}

// A lane run pairs the lanes and vectors that its flip tells, and every other run of the sweep stays as it is.
void check_lane_runs(const ProgramView& view) {
    for (int sweep = 0; sweep < view.layer_sweep_begin[3]; ++sweep)
        for (int32_t i = view.sweep_lane_run_begin[sweep]; i < view.sweep_lane_run_begin[sweep + 1]; ++i) {
            uint32_t flip = view.sweep_lane_flip[i];
            CHECK(flip != 0 && flip >> view.lane_bits == 0);
            const int turned = view.sweep_run_begin[sweep + 1] - view.sweep_run_begin[sweep];
            const uint32_t partner = view.sweep_lane_partner[i] >> view.sweep_near_bits[sweep];
            CHECK(partner >> turned == 0);
            for (int q = 0; q < turned; ++q)
                if (partner >> q & 1) flip ^= view.run_x[view.sweep_run[view.sweep_run_begin[sweep] + q]];
            CHECK(flip == view.run_x[view.sweep_lane_run[i]]);
        }
}

// A layer is one sweep where a block may be the state.
void check_number_of_sweeps(const ProgramView& view, bool is_team) {
    if (is_team || view.num_qubits - view.lane_bits > int(tuning::most_runs_of_layer)) return;
    for (int layer = 0; layer < 3; ++layer)
        CHECK(view.layer_sweep_begin[layer + 1] == view.layer_sweep_begin[layer] + 1);
    CHECK(view.in_order);
}

// Every legal way to lay states of a circuit: lanes, absorption, teams.
void every_sweep_visits_every_vector_once() {
    std::mt19937 random(2);
    for (int number = 0; number < 22; ++number) {
        const int num_qubits = 1 + number / 2, most_runs = number % 2 == 0 ? num_qubits : 2;
        const Plan plan(random_layers(num_qubits, 3, most_runs, random));
        for (int lane_bits = 0; lane_bits <= most_lane_bits; ++lane_bits)
            for (const bool absorbs : {false, true})
                for (const bool is_team : {false, true}) {
                    const ProgramView* view = plan.view(lane_bits, absorbs, is_team);
                    CHECK((view != nullptr) == (lane_bits == 0 || num_qubits >= lane_bits + 3));
                    if (view == nullptr) continue;
                    CHECK(view->lane_bits == lane_bits);
                    CHECK(view == plan.view(lane_bits, absorbs, is_team));
                    for (int sweep = 0; sweep < view->layer_sweep_begin[3] + 1; ++sweep) {
                        std::set<uint32_t> cosets{0}, visited;
                        for (int32_t i = view->sweep_basis_begin[sweep] + view->sweep_outer_bits[sweep];
                             i < view->sweep_basis_begin[sweep + 1]; ++i) {
                            std::set<uint32_t> more;
                            for (const uint32_t coset : cosets) more.insert(coset ^ view->sweep_basis[i]);
                            cosets.insert(more.begin(), more.end());
                        }
                        for (const uint32_t coset : cosets)
                            for (int32_t i = view->sweep_offset_begin[sweep]; i < view->sweep_offset_begin[sweep + 1];
                                 ++i)
                                visited.insert((coset ^ view->sweep_offset[i]) >> lane_bits);
                        CHECK(visited.size() == size_t(1) << (num_qubits - lane_bits));
                        const int block_bits = view->sweep_bits[sweep] + view->sweep_outer_bits[sweep];
                        CHECK(cosets.size() << block_bits == visited.size());
                        CHECK(block_bits <= view->max_block_bits);
                        // Few runs have blocks that are worth a visit, too: three characters leave room for tables.
                        CHECK(block_bits >= std::min(int(tuning::part_runs), num_qubits - lane_bits));
                    }
                    CHECK(!view->in_order || !is_team);
                    check_lane_runs(*view);
                    check_number_of_sweeps(*view, is_team);
                }
    }
}

}  // namespace

int main() { return check::run({TEST(every_sweep_visits_every_vector_once)}); }
