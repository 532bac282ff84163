// One call for a whole batch: cuts it into tiles, spreads them over threads, sums the gradients up.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "plan.hpp"
#include "scratch.hpp"
#include "tile.hpp"

namespace qtm {

template <class Real>
struct Batch {
    const Real* inputs;   // [size, num_inputs]
    const Real* weights;  // [num_weights]
    int64_t size;
    int num_threads;        // at most
    bool is_fixed = false;  // exactly so many, so that the last digits of a result depend on nothing else
};

// How a batch will be run, and the memory it takes.
template <class Real>
struct Schedule {
    const Kernel<Real>* kernel;
    const Kernel<Real>* rest_kernel;  // for the last samples of a thread, where they do not fill a tile of `kernel`
    const Plan* plan;                 // the given one, or the same circuit from halves on
    const ProgramView* view;
    int samples, num_threads;  // samples in a tile
    int64_t tiles;             // of the longest share of a thread, or of the team
    int64_t pieces;            // that a share is claimed in, each with sums of its own
    Storage storage;           // and what a forward call keeps for the backward call
    size_t scratch_bytes;      // of each thread
    size_t shared_bytes;       // of the team, if all threads evaluate every tile together
    size_t prefix_bytes;       // of the adjoint pass through a shared prefix
    size_t tape_bytes;         // for all tiles,
    size_t shared_tape_bytes;  // of these for what threads of a team share, for each tile
};

// Gradients may come from a tape that the forward call has recorded.
enum class Purpose { values, gradient, recorded_gradient, imaginary_gradient };

// Throws std::length_error, naming the bytes needed, where no way of running the batch fits the memory budget.
template <class Real>
Schedule<Real> schedule(const Plan& plan, int64_t batch_size, int num_threads, Purpose purpose);

// What a forward call keeps for the backward calls that follow.
template <class Real>
struct Tape {
    Schedule<Real> how;
    int64_t size;
    Scratch memory;
    mutable std::atomic<bool> is_spent = false;  // a backward call has undone the kets
    int team_size = 0;  // threads that shared every state, each with what it saw of it here; 0: nothing yet
};

// values: [size, num_observables], row-major.
template <class Real>
void values(const Plan& plan, const Batch<Real>& batch, Real* values);

// The same with a tape, where gradients will profit from one; otherwise null.
template <class Real>
std::unique_ptr<Tape<Real>> record(const Plan& plan, const Batch<Real>& batch, Real* values);

// input_gradient [size, num_inputs] and weight_gradient [num_weights] may be null where not wanted; wanted_variable
// [num_inputs + num_weights] says of which variables gradients are needed; a tape of the same batch may be given, and
// serves real derivatives.
template <class Real>
void vector_jacobian_product(const Plan& plan, const Batch<Real>& batch, const Real* cotangent, Derivative derivative,
                             const uint8_t* wanted_variable, const Tape<Real>* tape, Real* input_gradient,
                             Real* weight_gradient);

// How a batch of a circuit that holds matrices will be run: step by step, every thread with tiles of its own.
template <class Real>
struct StepSchedule {
    const Kernel<Real>* kernel;
    int num_threads;
    size_t scratch_bytes;  // of each thread
    size_t matrix_bytes;   // which the circuit keeps
};

// Throws std::length_error, naming the bytes needed, where no way of running the batch fits the memory budget.
template <class Real>
StepSchedule<Real> step_schedule(const Plan& plan, int64_t batch_size, int num_threads, Mode mode);

// As their namesakes above, for a plan with steps.
template <class Real>
void step_values(const Plan& plan, const Batch<Real>& batch, Real* values);
template <class Real>
void step_vector_jacobian_product(const Plan& plan, const Batch<Real>& batch, const Real* cotangent,
                                  Derivative derivative, const uint8_t* wanted_variable, Real* input_gradient,
                                  Real* weight_gradient);

// How states may lie in memory: a sample in every lane, one sample spread over the lanes (where the circuit
// allows it), or what is faster.
enum class Layouts { any, batched, spread };
void allow_layouts(Layouts layouts);
Layouts allowed_layouts();

// The kernels in use, the spread one last.
template <class Real>
std::pair<const Kernel<Real>*, int> kernels();

// What is thrown where nothing fits the budget: what it takes, and what helps.
std::string over_budget_text(const std::string& what, size_t bytes, size_t budget, bool is_single);
template <class Real>
std::length_error over_budget(const std::string& what, size_t bytes, size_t budget) {
    return std::length_error(over_budget_text(what, bytes, budget, sizeof(Real) == sizeof(float)));
}

// Layers that are the same for the whole batch, of the circuit or of its halves.
int prefix_layers(const ProgramView& view);

// Whether circuits start from halves wherever they can, or where that is faster.
void force_halves(bool forces);

}  // namespace qtm
