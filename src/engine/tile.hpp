// One tile: the few samples that lie side by side in the lanes of a vector, evaluated by one thread.
#pragma once

#include "jet.hpp"
#include "program.hpp"
#include "step.hpp"
#include "storage.hpp"
#include "team.hpp"

namespace qtm {

template <class Real>
struct Tile {
    const ProgramView* program;
    const Real* inputs;   // [num_samples, num_inputs]
    const Real* weights;  // [num_weights]
    int64_t num_samples;  // 1 to those of the kernel; the other lanes repeat the last sample
    Storage storage;
    void* scratch;           // scratch_bytes(program, storage), aligned to 64, kept between the tiles of one call
    void* tape;              // tape_bytes(program, storage), aligned to 64
    const void* first_tape;  // that of the first tile that used this scratch in this call
    void* shared;       // shared_bytes(program, storage), aligned to 64, if several threads evaluate the tile together:
    Team team;          // each of them with values, input_gradient and weight_gradient of its own, which add up
    void* shared_tape;  // shared_tape_bytes(program, storage), aligned to 64, likewise
    const void* first_shared_tape;
    bool first;  // first tile that uses this scratch in this call: prepare what the batch shares
    // values
    Real* values;  // [num_samples, num_values]
    // vector-Jacobian products: adjoint passes over the same kets, one for each cotangent
    int64_t num_cotangents;
    struct Strides {
        int64_t cotangent, input_gradient, weight_gradient, prefix_bra;  // from one to the next
    } stride;
    const Real* cotangent;  // [num_samples, num_values]
    Derivative derivative;
    const Wanted* wanted;
    bool recorded;                    // the tape is there from the forward call
    Real* input_gradient;             // [num_samples, num_inputs], or null
    DoubleOf<Real>* weight_gradient;  // [num_weights], added to, or null
    Real* prefix_bra;  // [2, 2^n]: the bras after the shared prefix are added to it, real and imaginary part
};

// The engine compiled for one instruction set and number of lanes.
template <class Real>
struct Kernel {
    int lanes;
    int lane_bits;  // so many of the lowest bits of an index are in the lanes, from none to all there are
    // By layers; null: it has none.
    size_t (*scratch_bytes)(const ProgramView&, const Storage&) = nullptr;
    size_t (*tape_bytes)(const ProgramView&, const Storage&) = nullptr;
    size_t (*shared_bytes)(const ProgramView&, const Storage&) = nullptr;
    size_t (*shared_tape_bytes)(const ProgramView&, const Storage&) = nullptr;
    void (*values)(const Tile<Real>&) = nullptr;
    void (*vector_jacobian_products)(const Tile<Real>&) = nullptr;
    // The rest of the adjoint pass, from tile.prefix_bra down.
    void (*prefix_gradient)(const Tile<Real>&) = nullptr;
    // Step by step: all of a tape is the last ket. The adjoint pass goes down to step number `first_step`.
    size_t (*step_scratch_bytes)(const ProgramView&, const StepsView<NumberOf<Real>>&, const Storage&) = nullptr;
    size_t (*step_shared_bytes)(const ProgramView&, const Storage&) = nullptr;
    void (*step_values)(const Tile<Real>&, const StepsView<NumberOf<Real>>&) = nullptr;
    void (*step_vector_jacobian_product)(const Tile<Real>&, const StepsView<NumberOf<Real>>&, int first_step) = nullptr;

    int samples() const { return lanes >> lane_bits; }  // of a tile
    bool is_batched() const { return lane_bits == 0; }
    bool is_single() const { return samples() == 1; }
};

// A state of all samples of a tile.
template <class Real>
size_t ket_bytes(const Kernel<Real>& kernel, int num_qubits) {
    return (2 * sizeof(Real) * size_t(kernel.lanes) << num_qubits) >> kernel.lane_bits;
}

// For derivatives along a direction: [2], with a sample in every lane, and spread, which runs step by step alone. In a
// file of their own, which takes as long to build.
struct JetKernels {
    const Kernel<FirstJet<float>>* first_float;
    const Kernel<FirstJet<double>>* first_double;
    const Kernel<SecondJet<float>>* second_float;
    const Kernel<SecondJet<double>>* second_double;
};

// Every implementation offers, per precision, kernels with a sample in every lane, mixed ones, of a few samples that
// have some lanes each, and at last one that is spread, of a single sample.
struct Implementation {
    const char* name;
    bool (*supported)();
    const Kernel<float>* float_kernels;
    int num_float_kernels;
    const Kernel<double>* double_kernels;
    int num_double_kernels;
    const JetKernels* jets;
};

}  // namespace qtm
