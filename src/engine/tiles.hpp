// Who runs which tile of a batch, and where its outputs are added up.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <vector>

#include "batch.hpp"
#include "claims.hpp"
#include "schedule.hpp"
#include "scratch.hpp"
#include "threads.hpp"

namespace qtm {

// How long a team waits for members (ns): for a small part of the time that it takes; no less than to wake them.
template <class Real>
std::chrono::nanoseconds patience(const Schedule<Real>& how, int64_t batch_size) {
    const double updates = double(batch_size) * double(how.view->num_runs + 1) * double(1u << how.view->num_qubits);
    return std::chrono::nanoseconds(int64_t(std::clamp(updates / 50, 100e3, 10e6)));
}

// Runs every sample of a batch: calls work(kernel, tile, part, first sample) for every tile, with all but its outputs
// set. A part is a piece of the batch, or, in a team, where every thread gets every tile, the rank of the thread: what
// is added up is added up for each part.
template <class Real, class Work>
class Tiles {
   public:
    Tiles(const Schedule<Real>& how, const Batch<Real>& batch, const Tape<Real>* tape, Work work)
        : how_(how),
          batch_(batch),
          tape_(tape),
          work_(work),
          scratch_(how.scratch_bytes * size_t(how.num_threads) + how.shared_bytes),
          claims_(how.storage.is_team ? 0 : how.num_threads, how.pieces),
          is_recorded_(tape != nullptr && tape->team_size > 0) {}

    // Nothing is run (size 0) where the members of a team did not come, or fewer than have written the tape.
    TeamResult run() {
        if (how_.storage.is_team) {
            const int size = is_recorded_ ? tape_->team_size : how_.num_threads;
            const TeamSize wanted{size, is_recorded_ || batch_.is_fixed ? size : 2, batch_.is_fixed,
                                  patience(how_, batch_.size)};
            return run_as_team(wanted, [&](const Team& team) { run_as_member(team); });
        }
        run_in_parallel(how_.num_threads, claims_.total(), [&](int thread) { return run_pieces(thread); });
        return {1, 1};
    }

   private:
    // The next tiles of a thread, or of a member of a team.
    struct Worker {
        Tile<Real> tile{};
        const Kernel<Real>* before = nullptr;
    };
    Worker worker(int thread, const Team& team) {
        Worker found;
        Tile<Real>& tile = found.tile;
        tile.weights = batch_.weights;
        tile.storage = how_.storage;
        if (tape_ == nullptr) tile.storage.taped = Taped::nothing;
        tile.recorded = is_recorded_;
        tile.scratch = scratch_.data() + how_.scratch_bytes * size_t(thread);
        tile.shared = scratch_.data() + how_.scratch_bytes * size_t(how_.num_threads);
        tile.team = team;
        tile.num_cotangents = 1;
        return found;
    }

    void run_as_member(const Team& team) {
        Worker own = worker(team.rank, team);
        // What a member saw before it left goes into the gradients of every tile on the tape.
        for (int64_t tile = 0; tile < how_.tiles && (is_recorded_ || !team.has_left()); ++tile) {
            run_tile(own, team.rank, tile, 0, batch_.size, team.rank);
            team.meet();
        }
    }

    // Returns how many pieces there were for this thread.
    int64_t run_pieces(int thread) {
        Worker own = worker(thread, {});
        int64_t count = 0;
        for (int64_t piece = claims_.claim(thread); piece >= 0; piece = claims_.claim(thread), ++count) {
            const int64_t owner = piece / how_.pieces, number = piece % how_.pieces;
            const int64_t begin = share(batch_.size, owner, how_.num_threads),
                          end = share(batch_.size, owner + 1, how_.num_threads);
            const int64_t tiles = (end - begin + how_.samples - 1) / how_.samples;
            for (int64_t tile = share(tiles, number, how_.pieces); tile < share(tiles, number + 1, how_.pieces); ++tile)
                run_tile(own, owner, tile, begin, end, piece);
        }
        return count;
    }

    // A tile of the share from sample `begin` to `end` that belongs to thread `owner`.
    void run_tile(Worker& own, int64_t owner, int64_t number, int64_t begin, int64_t end, int64_t part) {
        Tile<Real>& tile = own.tile;
        const int64_t sample = begin + number * how_.samples;
        tile.num_samples = std::min<int64_t>(how_.samples, end - sample);
        const bool is_rest = tile.num_samples < how_.samples && tile.num_samples <= how_.rest_kernel->samples();
        const Kernel<Real>* kernel = is_rest ? how_.rest_kernel : how_.kernel;
        tile.program = is_rest ? how_.rest_view : how_.view;
        if (tape_ != nullptr) {
            tile.tape = tape_of(owner, number);
            tile.shared_tape = shared_tape_of(number);
        }
        tile.inputs = batch_.inputs + sample * how_.view->num_inputs;
        tile.first = kernel != own.before;
        if (tile.first) {
            tile.first_tape = tile.tape;
            tile.first_shared_tape = tile.shared_tape;
        }
        own.before = kernel;
        work_(*kernel, tile, part, sample);
    }

    // Every thread has room on the tape for as many tiles as the longest share has.
    char* tape_of(int64_t thread, int64_t number) const {
        const size_t all = how_.tape_bytes / size_t(how_.tiles),
                     bytes = (all - how_.shared_tape_bytes) / size_t(how_.num_threads);
        return shared_tape_of(how_.tiles) + bytes * size_t(thread * how_.tiles + number);
    }
    // What a team shares comes first.
    char* shared_tape_of(int64_t number) const {
        return tape_->memory.data() + how_.shared_tape_bytes * size_t(number);
    }

    const Schedule<Real>& how_;
    const Batch<Real>& batch_;
    const Tape<Real>* tape_;
    Work work_;
    const Scratch scratch_;
    Claims claims_;
    const bool is_recorded_;  // the tape holds what the forward call has seen
};

// In a team, every thread has `count` numbers of its own, which are added up at the end; otherwise, and where every
// thread writes others, all share them.
template <class Real>
class Sums {
   public:
    // Of so many members; 0: there is no team.
    Sums(int members, Real* target, int64_t count, bool adds_up = true) : target_(target), count_(size_t(count)) {
        if (target != nullptr && adds_up) own_.assign(count_ * size_t(members), Real(0));
    }
    Real* of(int64_t rank) { return own_.empty() ? target_ : own_.data() + count_ * size_t(rank); }
    void finish() {
        if (own_.empty()) return;
        std::fill(target_, target_ + count_, Real(0));
        for (size_t i = 0; i < own_.size(); ++i) target_[i % count_] += own_[i];
    }

   private:
    Real* target_;
    size_t count_;
    std::vector<Real> own_;
};

}  // namespace qtm
