// A circuit that runs step by step, as the kernels see it: steps in the order of time (see "Step by step" in
// README.md).
#pragma once

#include <cstdint>

#include "program.hpp"

namespace qtm {

// Matrices are stored in blocks of so many rows, their columns filled up to a multiple of it, with zeros:
// [blocks][stored columns][re|im][rows of the block].
inline constexpr int rows_in_block = 4;

template <class Real>
struct StepView {
    int32_t kind;   // a StepKind
    int32_t angle;  // of a rotation or a diagonal
    uint32_t x, z;  // of a rotation: X^x is its X, Z^z its Z

    // A matrix or diagonal acts on the qubits whose bit q is the parity of the index with sign[q], or its opposite
    // where bit q of `negative` is set. Those bits make the row of an index. A rotation that has qubits is controlled
    // by them: it acts where the row is 0.
    int32_t bits;
    const uint32_t* sign;  // [bits]
    uint32_t negative;
    // Indices that differ in these bits alone are a coset: base ^ offset[row] has that row.
    const uint32_t* offset;  // [2^bits]
    uint32_t first;          // the first base
    const uint32_t* next;    // [num_qubits - bits + 1]: from base number c - 1 to c, next[trailing zeros of c] flips

    int32_t columns;  // of a matrix: 2^bits, or fewer, where the qubits of the highest bits are in |0> before it
    int32_t stored_columns;
    const Real* entries;   // in blocks
    const Real* energies;  // of a diagonal: [2^bits]
};

// Controls of a rotation, and, of the first ones, that nothing else can be reached from |0> yet: all of the rest is
// zero in the ket, and nobody asks for it in the bra. Those that the number of a vector settles are settled by which
// vectors are visited, one of each pair; the others leave the rotation to some of the lanes.
struct ControlsView {
    uint32_t first;        // number of the first vector
    uint32_t count;        // of vectors
    const uint32_t* next;  // from number c - 1 to c, next[trailing zeros of c] flips
    int32_t bits;          // of the others: each is the parity of a lane, and of a vector's number, or its opposite
    uint32_t lane[most_lane_bits], high[most_lane_bits], negative;
};

template <class Real>
struct StepsView {
    const StepView<Real>* step;
    const ControlsView* controls;  // [num_steps]: of rotations that have some; the others visit none
    int32_t num_steps;
    int32_t most_rows;  // of a matrix
};

}  // namespace qtm
