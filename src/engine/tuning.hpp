// The numbers that were measured, and not derived: one home for all that a faster or slower machine would change. Those
// that differ between families of processors are in tuning/, a file for each; `tuning_costs()` (dispatch.hpp) has those
// in use. How to measure: `python benchmarks kernel`, and old and new in turn; what was found is in
// benchmarks/README.md.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tuning/costs.hpp"

namespace qtm::tuning {

// --- Threads -------------------------------------------------------------------------------------------------------

// A thread pays off from about this many updates of amplitudes by a run on (some 10 us); below, waking it costs more.
inline constexpr double least_work_per_thread = 65536;
// Likewise of circuits with matrices: complex products.
inline constexpr double least_products_per_thread = 65536;
// Threads share one state where each has at least so many amplitudes of it.
inline constexpr unsigned least_amplitudes_per_thread = 2048;
// Likewise step by step, where they meet after every pass of some 10 us.
inline constexpr unsigned least_amplitudes_of_step = 32768;
// A share is claimed in so many pieces at most, and of so many samples at least where each has bras of its own.
inline constexpr int64_t most_pieces = 4, least_samples_of_bras = 4;
// What it costs to start a thread and to meet in a team (ns), and the share of its time that a team works; with kets on
// a tape there is no forward pass in a backward call, and fewer meetings.
inline constexpr double start = 2000, meeting = 2000, team_efficiency = 0.85, team_efficiency_with_kets = 0.93;
// Halves that stay apart: meetings for each Gram matrix, and what the halves themselves take of a step.
inline constexpr double meetings_of_gram = 7, share_of_halves = 0.4;
// Of a way forward and one back, what the way forward takes. Several cotangents go side by side, each with a copy of
// the samples, as long as these are no more rows for each thread; with circuits that hold matrices, for all of them.
inline constexpr double forward_share = 0.35;
inline constexpr int64_t most_rows_of_copies = 64, most_rows_of_steps = 1024;
// The part of a call that one thread is expected to do alone, as others are late or busy elsewhere.
inline constexpr double alone = 0.1;

// --- Memory and tapes ----------------------------------------------------------------------------------------------

// From so many tiles a thread on, one adjoint pass through the shared prefix saves more than its bookkeeping costs.
inline constexpr int64_t least_tiles_to_share = 2;
// A tape larger than this comes back from memory no faster than it is computed anew in the cache; without kets it may
// still be worth it.
inline constexpr size_t most_tape_bytes = size_t(16) << 20;
// The last ket of a large state, though, where kets are undone, may take this share of the budget: to run all layers
// anew takes longer than to read it, from memory or not.
inline constexpr size_t least_large_ket = size_t(512) << 10, ket_share = 8;
// Energies of basis states that a program keeps: 12 MiB in both precisions. The rotations of a phase have their
// gradients from sums with so many of them at most, where a transform would take about as many passes.
inline constexpr size_t most_energies = size_t(1) << 20, most_energies_of_phase = 4;
// A state that stays in the second cache of a core is not fetched ahead.
inline constexpr size_t most_cached = size_t(512) << 10;
// From here on no cache holds a bra until it is read, and it is started past all of them.
inline constexpr size_t least_streamed = size_t(4) << 20;

// --- Tiles: a training step with three layers of runs, 8 to 18 qubits
// -------------------------------------------------

// Spread: time of an amplitude, and of one in a state that a team shares, whose layers are several sweeps; what a tile
// takes besides, without halves and from halves on.
inline constexpr double spread = 13, spread_of_team = 16.5, besides = 5900, besides_of_halves = 8400;
// Batched: time of an amplitude in one lane, and of one in a state that a team shares, which does not lie in the order
// of its sweeps.
inline constexpr double lane = 7, lane_of_team = 9.75;
// Mixed: time of an amplitude of a sample, to one in a lane, and what each lane of a tile takes besides, as angles and
// tables are those of whole vectors.
inline constexpr double mixed = 1.25, besides_of_mixed = 250;
// A gradient, to one that keeps kets and no tape: kets undone without kets on a tape (a backward call runs all layers
// anew), undone on a tape of a deep circuit (from four layers on), and kept on a tape.
inline constexpr double undoes_all = 1.2, undoes_deep = 0.88, keeps_on_tape = 0.86;
inline constexpr int least_deep_layers = 4;
// Steps that hold matrices: half a vector has as much to load for half the arithmetic. Spread, a rotation takes longer
// (mixed, less so),
// in series next to narrower vectors that few samples fill; and amplitudes of a matrix come together one by one: of k
// qubits, a product takes spread_product + spread_column / 2^k.
inline constexpr double half_vector_of_steps = 0.6, spread_steps = 1.5, mixed_steps = 1.15, spread_series = 1.8;
inline constexpr double spread_product = 1.2, spread_column = 14;
// A step's pass over a state, to one of one thread whose caches hold it, in units of what layers take likewise: by a
// team, and from memory, where series move as many more bytes.
inline constexpr double sweep_of_team = 1.2, sweep_from_memory = 1.5, sweep_of_series_from_memory = 2.2;
// What another rotation about Z takes of a pass, next to one.
inline constexpr double next_diagonal = 0.1;
// Rotations are undone by tangent where no cosine is smaller, and all that were left out are not, in squares.
inline constexpr double least_cosine_square = 0.25, least_left_out = 0x1p-40;

// --- Sweeps (see "Blocks" in README.md)
// --------------------------------------------------------------------------------

// Runs of a sweep. Blocks of bra and ket with 2^6 vectors of 64 bytes each fit half of a 32 KiB cache; fewer runs have
// as large ones, as what a coset takes before its first amplitude is worth dozens of them; up to 2^8 they were measured
// to be better whole. Larger blocks fall into parts, and pay off as long as a layer of all qubits is one sweep and the
// second cache of a core takes most of it; a team shares cosets, which therefore must not be few.
// Where a layer is several sweeps, one that is measured is worth larger blocks: nothing is turned, and memory decides.
inline constexpr size_t most_whole_runs = 8, part_runs = 6, most_runs_of_layer = 14, most_team_runs = 7,
                        most_measured_runs = 10;
// In sweeps of such a layer, so many bits more make four vectors side by side of each one, where no run does: vectors
// far from one another wait for memory one by one, and push each other out of the caches.
inline constexpr int most_near_bits = 2;
// The table of a phase has at most 2^10 entries: with those of 64 bytes, what the cache of a core holds beside a state.
inline constexpr size_t most_table_bits = 10;
// Characters whose rows index two tables, each for half of them.
inline constexpr size_t most_group_characters = 12;

static_assert(part_runs <= most_whole_runs && most_whole_runs <= most_runs_of_layer, "blocks grow by parts");
static_assert(most_runs_of_layer <= 14 && most_measured_runs <= 14, "blocks of a sweep have 2^14 vectors at most");
static_assert(most_group_characters <= 31 && most_table_bits <= 31, "rows are masks of 32 bits");

}  // namespace qtm::tuning
