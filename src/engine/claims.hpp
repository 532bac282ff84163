// Work in pieces that is done by whoever is there.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

namespace qtm {

// Where the share of thread i of count begins: shares differ by at most one.
inline int64_t share(int64_t total, int64_t i, int64_t count) { return total * i / count; }

// Every thread has a share of as many pieces. It takes those of its own share first, whose memory its cache may know;
// then those that are left of others.
class Claims {
   public:
    Claims(int num_shares, int64_t pieces_of_share) : pieces_(pieces_of_share), taken_(size_t(num_shares)) {}

    int64_t total() const { return pieces_ * int64_t(taken_.size()); }

    // The number of a piece that nobody has taken, by shares; -1: none is left.
    int64_t claim(int thread) {
        const size_t count = taken_.size();
        for (size_t i = 0; i < count; ++i) {
            const size_t owner = (size_t(thread) + i) % count;
            if (taken_[owner].load(std::memory_order_relaxed) >= pieces_) continue;
            const int64_t piece = taken_[owner].fetch_add(1, std::memory_order_relaxed);
            if (piece < pieces_) return int64_t(owner) * pieces_ + piece;
        }
        return -1;
    }

   private:
    const int64_t pieces_;
    std::vector<std::atomic<int64_t>> taken_;
};

}  // namespace qtm
