// How a batch will be run: what is possible, what is predicted to be the fastest, what fits the memory budget.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "plan.hpp"
#include "tile.hpp"

namespace qtm {

// All numbers that batches are scheduled for.
#define QTM_FOR_ALL_NUMBERS(macro)                                                                    \
    macro(float) macro(double) macro(FirstJet<float>) macro(FirstJet<double>) macro(SecondJet<float>) \
        macro(SecondJet<double>)

// How states may lie in memory: a sample in every lane, a few samples with some lanes each, one sample spread over the
// lanes (where the circuit allows it), or what is faster.
enum class Layouts { any, batched, mixed, spread };
void allow_layouts(Layouts layouts);
Layouts allowed_layouts();

// Whether a kernel's states lie so.
template <class Real>
bool allows(Layouts layouts, const Kernel<Real>& kernel) {
    return layouts == Layouts::any || layouts == (kernel.is_batched()  ? Layouts::batched
                                                  : kernel.is_single() ? Layouts::spread
                                                                       : Layouts::mixed);
}

// The kernels in use, the spread one last.
template <class Real>
std::pair<const Kernel<Real>*, int> kernels();

// Layers that are the same for the whole batch, of the circuit or of its halves.
int prefix_layers(const ProgramView& view);

// How a batch will be run, and the memory it takes.
template <class Real>
struct Schedule {
    const Kernel<Real>* kernel;
    const Kernel<Real>* rest_kernel;  // for the last samples of a thread, where they do not fill a tile of `kernel`
    const Plan* plan;                 // the given one, or the same circuit from halves on
    const ProgramView* view;
    const ProgramView* rest_view;  // for `rest_kernel`
    int samples, num_threads;      // samples in a tile
    int64_t tiles;                 // of the longest share of a thread, or of the team
    int64_t pieces;                // that a share is claimed in, each with sums of its own
    Storage storage;               // and what a forward call keeps for the backward call
    size_t scratch_bytes;          // of each thread
    size_t shared_bytes;           // of the team, if all threads evaluate every tile together
    size_t prefix_bytes;           // of the adjoint pass through a shared prefix
    size_t tape_bytes;             // for all tiles,
    size_t shared_tape_bytes;      // of these for what threads of a team share, for each tile
    double cost;                   // by which it was chosen, of one adjoint pass
    bool by_steps = false;         // step by step: the tape, if there is one, holds the last ket of every tile
    size_t matrix_bytes = 0;       // of its matrices, which the plan keeps
};

// Of its team; 0: there is none.
template <class How>
int members(const How& how) {
    return how.storage.is_team ? how.num_threads : 0;
}

// Gradients may come from a tape that the forward call has recorded; several have kets in common.
enum class Purpose {
    values,
    gradient,
    recorded_gradient,
    imaginary_gradient,
    several_gradients,
    several_imaginary_gradients
};

// With `num_cotangents` adjoint passes, if there are several. Throws std::length_error, naming the bytes needed, where
// no way of running the batch fits the memory budget.
template <class Real>
Schedule<Real> schedule(const Plan& plan, int64_t batch_size, int num_threads, Purpose purpose,
                        int64_t num_cotangents = 1);

// The same step by step, for plans that have steps.
template <class Real>
Schedule<Real> step_schedule(const Plan& plan, int64_t batch_size, int num_threads, Purpose purpose);
// Without asking how much memory there is.
template <class Real>
Schedule<Real> step_schedule_within(size_t limit, const Plan& plan, int64_t batch_size, int num_threads,
                                    Purpose purpose);

// Threads that may share one state.
int useful_team(const Plan& plan, int num_threads);
// Likewise step by step: threads meet after every step.
int useful_step_team(const Plan& plan, int num_threads);

// Bytes that a tape may take, which holds last kets of a size (0: it holds others as well), within a budget.
size_t most_taped(size_t ket_bytes, size_t budget);

// For tests: batches are stored in this one of `legal_storages` wherever they can be, or as is fastest (-1).
void prefer_storage(int number);

// Whether circuits start from halves, or stay in halves, wherever they can, or do what is faster.
enum class Halving { any, joined, unjoined };
void force_halving(Halving halving);

// Whether circuits run step by step wherever they can, or where that is faster.
void force_steps(bool forces);
bool forces_steps();

}  // namespace qtm
