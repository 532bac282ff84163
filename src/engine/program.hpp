// The circuit as the engine sees it: flat arrays, no Qiskit, no Python. The schema that the compiler shares has the
// meaning of those that it hands over; the others are derived from them.
//
// A circuit is an alternation of two primitives (see README.md in this folder):
//
//     |0...0> -> layer 1 -> phase 1 -> layer 2 -> ... -> layer L -> phase L -> observables
//
// A layer is a set of commuting *runs*. A run is a fused sequence of rotations of one *virtual qubit* (x, z): its
// Pauli X is X^x (flips the index bits in mask x), its Pauli Z is Z^z (sign: parity of the index bits in mask z).
// CNOTs, X and SWAPs never move an amplitude: the compiler folds them into these masks.
// A phase is a product of diagonal factors, one for each *character* z: amplitudes whose parity with z is odd are
// multiplied by a unit complex number.
#pragma once

#include <cstddef>
#include <cstdint>

#include "schema.hpp"

namespace qtm {

inline constexpr int most_lane_bits = 5;  // index bits in the lanes of a vector

// What is read from the final state, and the bra starts the way back with.
enum class Output { expectation_values, state, probabilities };

// A batch-invariant view of everything the kernels read. Plain pointers, so that code compiled for one instruction
// set shares no template instantiation with code compiled for another.

struct ProgramView {
    Output output;       // what is read from the final state
    int64_t num_values;  // real numbers that are read from a sample
    int32_t num_qubits, num_inputs, num_weights, num_angles, num_runs, num_layers, num_observables;

    // As they came from the compiler; of these, the masks of characters, observables and the state that is read are
    // those of places where kets lie in the order of their sweep.
#define QTM_ARRAY(Scalar, name) const Scalar* name;
    QTM_PROGRAM_ARRAYS(QTM_ARRAY)
#undef QTM_ARRAY

    const uint8_t* angle_varies;  // [num_angles]: depends on the inputs
    // No angle is larger than angle_scale * max(1, largest variable)^angle_degree.
    double angle_scale;
    int32_t angle_degree;

    const uint8_t* run_is_real;    // [num_runs]: only RY, so no diagonals
    const uint8_t* run_is_turned;  // [num_runs]: RY, then RZ, so that gradients need no X
    const uint8_t* run_varies;     // [num_runs]

    const uint8_t* layer_varies;  // [num_layers]

    // How sweeps visit the state; it depends on how many of the lowest index bits lie in the lanes of a vector.
    int32_t lane_bits;
    const int32_t* layer_sweep_begin;  // [num_layers + 1]
    // A sweep works on cosets of the span of its block's flips: those of its runs, which must reach different vectors,
    // and others to fill the block. A large block falls into parts, which its outer bits tell apart: they are cosets of
    // the inner flips. Lane runs come on top: their partners lie in other lanes, of the same vector or of another one
    // in the block. Sweep number num_sweeps is no part of a layer: it applies the last phase alone.
    const int32_t* sweep_run_begin;       // [num_sweeps + 2]
    const int32_t* sweep_run;             // run q turns bit q of the block
    const int32_t* sweep_lane_run_begin;  // [num_sweeps + 2]
    const int32_t* sweep_lane_run;
    const uint32_t* sweep_lane_flip;     // of each lane run: between the numbers of lanes that are partners,
    const uint32_t* sweep_lane_partner;  // and between those of their vectors in the block
    const int32_t* sweep_bits;           // [num_sweeps + 1]: inner bits, of a part
    const int32_t* sweep_outer_bits;     // [num_sweeps + 1]
    // A measured layer, spread: the first bits of the block are the lowest of the index, unless runs flip those.
    const int32_t* sweep_near_bits;     // [num_sweeps + 1]: so many; run q then turns bit near + q
    const int32_t* sweep_offset_begin;  // [num_sweeps + 2]
    const uint32_t* sweep_offset;       // 2^(inner + outer bits) entries a sweep
    const int32_t* sweep_basis_begin;   // [num_sweeps + 2]
    const uint32_t* sweep_basis;        // outer flips, then num_qubits - lane_bits - bits coset representatives
    // Where every layer is one sweep, kets and bras lie in the order of the sweep they come out of: the block
    // of a coset is one piece of memory and is worked on where it lies. Offsets, bases, flips and masks are then those
    // of places in the state before (observables: in the last ket; phases: in the ket before them).
    uint8_t in_order;
    const uint32_t* sweep_order;  // [num_sweeps + 1, num_qubits]: index at the place where one bit is set
    // Kets that are kept are counted: the product state is number 0. The way back through a layer starts from the ket
    // after it and ends at the ket before it, so that none is kept after its first sweep if there is another.
    const int32_t* sweep_ket;  // [num_sweeps + 1]: number of the ket that the sweep writes
    // The first layer makes a product state: runs that flip lanes only first, then the others.
    const int32_t* product_run;    // [layer_run_begin[1]]
    const uint32_t* product_flip;  // [layer_run_begin[1]]: what they flip
    int32_t num_product_lane_runs;
    uint8_t product_is_scattered;  // the others do not reach vectors of their own: one amplitude at a time

    const uint8_t* phase_varies;  // [num_layers + 1]

    // As the first sweep of its layer applies it, a phase is the product of
    // - a table by variant and position in the part, for characters that differ within a part: in every part they are
    //   those of the first up to signs, which follow from a few variants;
    // - groups of characters that are constant in a part;
    // - the rest: groups of characters that differ within a part, and from part to part in too many ways.
    const int32_t* phase_table_bits;      // [num_layers + 1]: those of the part, then those of the variant
    const int32_t* phase_table_begin;     // [num_layers + 1]: first vector
    const int32_t* phase_variant_begin;   // [num_layers + 1]
    const uint32_t* phase_variant_step;   // for every vector of the basis of the sweep, the variants that it exchanges
    const int32_t* phase_group_begin;     // [num_layers + 2]: first the groups that the table is made of,
    const int32_t* phase_constant_begin;  // [num_layers + 1]: then those of constant characters,
    const int32_t* phase_rest_begin;      // [num_layers + 1]: then the rest
    // The factor of a group follows from a row: which of its characters are odd. It is an entry of a table that is
    // there while the table of the phase is filled, or else the product of an entry of a low and one of a high table.
    const int32_t* group_character_begin;  // [num_groups + 1]
    const int32_t* group_character;        // indices of characters
    const int32_t* group_table_begin;      // [num_groups]: first vector; the high table follows the low one
    const int32_t* group_offset_begin;     // [num_groups]
    const uint32_t* group_offset;          // rows at every index of the phase's table, or offset of the sweep
    const int32_t* group_basis_begin;      // [num_groups]
    const uint32_t* group_basis;           // rows at the vectors of the basis of the sweep

    // Gradients of the rotations of a phase, where few angles have all of them: each is a sum over the energies of
    // basis states, sum_z factor (-1)^{z.i}, times that of the angle. None: from a transform.
    const int32_t* phase_sum_begin;  // [num_layers + 2]
    const int32_t* phase_sum_angle;
    const int64_t* phase_sum_energy;  // first of them
    const float* energy_single;
    const double* energy_double;
    int64_t observable_energy;  // of the diagonal terms of a single observable; -1: none

    int32_t num_flips;  // distinct x masks

    // The first layers are the same for the whole batch: as many as there are, but never the last one.
    int32_t prefix_layers;
    // Whether the last layer is absorbed by the observables: U^+ Z U = cos(theta) Z - sin(theta) X for every term that
    // is the Z of a run of that layer. Its sweeps then hold only runs that are measured so.
    uint8_t absorbs;
    const int32_t* term_run;  // [num_pauli_terms]: that run; -1: the term commutes with the whole layer
    uint8_t has_unabsorbed_terms;
    const uint8_t* run_is_measured;  // [num_runs]: the Z of some term

    // Where the circuit starts from two halves (low and high; otherwise null), its first layer has no runs: after it
    // comes the state sqrt(2^glue_bits) * sum over the glue: low[glue, i] * high[glue, j], at index i + 2^low bits * j.
    const ProgramView* half[2];
    int32_t glue_bits;
    // Or they stay apart, and words are read from them: the state of all qubits is never there.
    uint8_t is_unjoined;
    int32_t num_grams, num_words, most_flips;  // and flips of the words of a Gram matrix, at most
    double relative_cost;                      // time of a training step, to that of the circuit without halves

    // Scratch sizes, in vectors.
    int32_t max_block_bits, num_groups, table_vectors, filling_vectors;
    uint8_t last_phase_acts;  // phase L matters: an observable flips bits, or all of the state matters
};

// Which part of 2 <k|O|dk> a gradient is made of: the real part is the derivative of the expectation value; the
// imaginary one serves linear combinations of unitaries and sees the global phase.
enum class Derivative { real, imaginary };

// Which angles the caller wants gradients of.
struct Wanted {
    const uint8_t* angle;   // [num_angles]
    const uint8_t* run;     // [num_runs]: holds a wanted angle
    const uint8_t* phase;   // [num_layers + 1]: holds a wanted rotation of its own
    int32_t first_layer;    // nothing is wanted before this layer; num_layers: nothing at all
    const Wanted* half[2];  // of the halves
};

}  // namespace qtm
